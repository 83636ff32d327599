// broadcast PORT: a WebSocket server that can do one thing. A connection that says "PUBLISH\n" is a publisher: each line it
// sends goes to every WebSocket as a text frame of its own, with one send each. It stores nothing and knows nobody.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define LINE 65536
enum role { ASKING, SOCKET, PUBLISHER };
struct peer { int fd; enum role role; size_t have, place; char *text; };

static struct peer **sockets; // those that get everything
static size_t number, room;
static int poller;

// SHA-1 (RFC 3174) of up to 119 bytes, for Sec-WebSocket-Accept.
static uint32_t turn(uint32_t x, int n) { return x << n | x >> (32 - n); }

static void sha1_block(uint32_t h[5], const unsigned char *p) {
  uint32_t w[80], a = h[0], b = h[1], c = h[2], d = h[3], e = h[4];
  for (int i = 0; i < 16; i++) w[i] = (uint32_t)p[4 * i] << 24 | p[4 * i + 1] << 16 | p[4 * i + 2] << 8 | p[4 * i + 3];
  for (int i = 16; i < 80; i++) w[i] = turn(w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16], 1);
  for (int i = 0; i < 80; i++) {
    uint32_t f = i < 20 ? (b & c) | (~b & d) : i < 40 ? b ^ c ^ d : i < 60 ? (b & c) | (b & d) | (c & d) : b ^ c ^ d;
    static const uint32_t k[4] = {0x5A827999, 0x6ED9EBA1, 0x8F1BBCDC, 0xCA62C1D6};
    uint32_t t = turn(a, 5) + f + e + w[i] + k[i / 20];
    e = d, d = c, c = turn(b, 30), b = a, a = t;
  }
  h[0] += a, h[1] += b, h[2] += c, h[3] += d, h[4] += e;
}

static void accept_key(const char *key, char *out) {
  unsigned char data[128] = {0}, digest[21] = {0};
  size_t n = (size_t)snprintf((char *)data, 100, "%.24s258EAFA5-E914-47DA-95CA-C5AB0DC85B11", key);
  uint32_t h[5] = {0x67452301, 0xEFCDAB89, 0x98BADCFE, 0x10325476, 0xC3D2E1F0};
  data[n] = 0x80;
  data[126] = (unsigned char)(n * 8 >> 8), data[127] = (unsigned char)(n * 8);
  sha1_block(h, data), sha1_block(h, data + 64);
  for (int i = 0; i < 20; i++) digest[i] = (unsigned char)(h[i / 4] >> (24 - 8 * (i % 4)));
  static const char sixty_four[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  for (int i = 0; i < 7; i++) {
    uint32_t three = (uint32_t)digest[3 * i] << 16 | (uint32_t)digest[3 * i + 1] << 8 | digest[3 * i + 2];
    for (int k = 0; k < 4; k++) out[4 * i + k] = sixty_four[three >> (18 - 6 * k) & 63];
  }
  out[27] = '=', out[28] = 0;
}

static void leave(struct peer *p) {
  if (p->role == SOCKET) (sockets[p->place] = sockets[--number])->place = p->place;
  close(p->fd);
  free(p->text);
  free(p);
}

static void send_all(int fd, const char *data, size_t n) {
  while (n) {
    ssize_t sent = send(fd, data, n, MSG_NOSIGNAL);
    if (sent < 0 && errno != EAGAIN) return; // epoll will tell that it has gone
    if (sent < 0) {
      struct pollfd full = {.fd = fd, .events = POLLOUT};
      if (poll(&full, 1, 1000) <= 0) return;
      continue;
    }
    data += sent, n -= (size_t)sent;
  }
}

static void broadcast(const char *text, size_t n) {
  static char frame[LINE + 4];
  size_t head = n < 126 ? 2 : 4;
  frame[0] = (char)0x81;
  frame[1] = (char)(n < 126 ? n : 126);
  if (n >= 126) frame[2] = (char)(n >> 8), frame[3] = (char)n;
  memcpy(frame + head, text, n);
  for (size_t i = 0; i < number; i++) send_all(sockets[i]->fd, frame, head + n);
}

static void become_socket(struct peer *p) {
  char *key = strcasestr(p->text, "sec-websocket-key:"), accepted[32], answer[256];
  if (!key) return;
  accept_key(key + 18 + strspn(key + 18, " "), accepted);
  int n = snprintf(answer, sizeof answer, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                   "Sec-WebSocket-Accept: %s\r\n\r\n", accepted);
  send_all(p->fd, answer, (size_t)n);
  if (number == room) sockets = realloc(sockets, (room = room ? 2 * room : 1024) * sizeof *sockets);
  p->role = SOCKET;
  p->place = number;
  sockets[number++] = p;
  free(p->text);
  p->text = NULL;
}

static void read_lines(struct peer *p) {
  char *line = p->text, *end;
  while ((end = memchr(line, '\n', p->have - (size_t)(line - p->text)))) {
    if (p->role == PUBLISHER) broadcast(line, (size_t)(end - line));
    else if (!strncmp(line, "PUBLISH\n", 8)) p->role = PUBLISHER;
    else break; // a request's head: wait until it is whole
    line = end + 1;
  }
  p->have -= (size_t)(line - p->text);
  memmove(p->text, line, p->have);
}

static void attend(struct peer *p) {
  static char waste[4096];
  char *into = p->text ? p->text + p->have : waste;
  ssize_t n = read(p->fd, into, p->text ? LINE - p->have - 1 : sizeof waste);
  if (n == 0 || (n < 0 && errno != EAGAIN)) return leave(p);
  if (n < 0 || !p->text) return;
  p->text[p->have += (size_t)n] = 0;
  read_lines(p);
  if (p->role == ASKING && strstr(p->text, "\r\n\r\n")) become_socket(p);
}

static void admit(int listener) {
  for (int fd; (fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0;) {
    int one = 1;
    struct peer *p = calloc(1, sizeof *p);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    p->fd = fd;
    p->text = malloc(LINE);
    epoll_ctl(poller, EPOLL_CTL_ADD, fd, &(struct epoll_event){.events = EPOLLIN, .data.ptr = p});
  }
}

int main(int argc, char **argv) {
  struct rlimit files;
  getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
  signal(SIGPIPE, SIG_IGN);
  int one = 1, listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
  struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)(argc > 1 ? atoi(argv[1]) : 0))};
  a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  if (bind(listener, (struct sockaddr *)&a, sizeof a) || listen(listener, 4096)) return perror("listen"), 1;
  poller = epoll_create1(0);
  epoll_ctl(poller, EPOLL_CTL_ADD, listener, &(struct epoll_event){.events = EPOLLIN, .data.ptr = NULL});
  printf("Listening\n");
  fflush(stdout);
  for (struct epoll_event events[256];;) {
    int n = epoll_wait(poller, events, 256, -1);
    for (int i = 0; i < n; i++) events[i].data.ptr ? attend(events[i].data.ptr) : admit(listener);
  }
}
