#define _GNU_SOURCE
#include "wire.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "account.h"

#define BUFFER (1 << 20)
#define TAIL 40 // a marker, or the text that says a connection is ready, may be cut anywhere
static char buffer[BUFFER + CARRY + 1];

int wire_connect(struct wire *w, struct connection *c) {
  int one = 1;
  struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)w->port)};
  a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
  if (c->fd < 0) return 0;
  setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  c->carry = malloc(CARRY);
  c->began = now_ns();
  c->state = CONNECTING;
  if (c->carry && (!connect(c->fd, (struct sockaddr *)&a, sizeof a) || errno == EINPROGRESS)) return 1;
  close(c->fd);
  return 0;
}

int wire_request(struct wire *w, struct connection *c, long i) {
  char text[3072], cookie[1024] = "", sub[128] = "";
  int error = 0;
  socklen_t size = sizeof error;
  if (getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &size) || error) return 0;
  if (w->cookies && *w->cookies[i]) snprintf(cookie, sizeof cookie, "Cookie: sessionid=%s\r\n", w->cookies[i]);
  if (w->subprotocol) snprintf(sub, sizeof sub, "Sec-WebSocket-Protocol: %s\r\n", w->subprotocol);
  const char *kind = w->protocol == SSE ? "Accept: text/event-stream\r\n"
                                        : "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
                                          "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
  int n = snprintf(text, sizeof text, "GET %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nOrigin: http://127.0.0.1:%d\r\n%s%s%s\r\n",
                   w->path, w->port, w->port, kind, sub, cookie);
  c->state = SHAKING;
  return write(c->fd, text, (size_t)n) == n;
}

// A frame from a client is masked; a mask of zeros changes nothing.
static int send_frame(struct connection *c, int opcode, const char *payload, size_t n) {
  unsigned char f[4096 + 8] = {(unsigned char)(0x80 | opcode)};
  size_t head = n < 126 ? 2 : 4;
  if (n > 4000) return 0;
  f[1] = 0x80 | (n < 126 ? (unsigned char)n : 126);
  if (n >= 126) f[2] = (unsigned char)(n >> 8), f[3] = (unsigned char)n;
  memcpy(f + head + 4, payload, n);
  return write(c->fd, f, head + 4 + n) == (ssize_t)(head + 4 + n);
}

static void become_ready(struct connection *c) {
  c->state = READY;
  c->ready = now_ns();
}

static int shaken(struct wire *w, struct connection *c, long i, const char *head) {
  if (!strstr(head, w->protocol == SSE ? " 200" : " 101")) {
    if (!w->failed) fprintf(stderr, "bad handshake: %.160s\n", head);
    return 0;
  }
  c->state = OPEN;
  c->left = w->protocol == SSE ? UINT64_MAX : 0;
  c->opcode = 1;
  if (w->firsts && *w->firsts[i] && !send_frame(c, 1, w->firsts[i], strlen(w->firsts[i]))) return 0;
  if (!w->ready) become_ready(c);
  return 1;
}

static int marker_at(const char *p) { return p[0] == '@' && p[1] == '@' && p[12] == ':' && p[32] == ';'; }

// Take what is whole of the payload; returns where the rest begins that has to be looked at again.
static char *take(struct wire *w, struct connection *c, long i, char *p, char *end, int whole, int64_t now) {
  char *from = p, *m;
  if (c->state == OPEN && w->ready && memmem(p, (size_t)(end - p), w->ready, strlen(w->ready))) become_ready(c);
  while (end - from >= MARKER && (m = memmem(from, (size_t)(end - from), "@@", 2))) {
    if (end - m < MARKER) break;
    if (marker_at(m)) {
      w->marker(i, m, now);
      if (!c->counted && w->protocol != SSE) w->frames++;
      c->counted = 1;
      from = m + MARKER;
    } else {
      from = m + 1;
    }
  }
  if (whole) return end;
  return end - from > TAIL ? end - TAIL : from;
}

// A control frame, or a short text of Socket.IO's own, all of it. 0: the server closes.
static int answer(struct wire *w, struct connection *c, const char *p, size_t n) {
  if (c->opcode == 8) {
    w->last_close = n >= 2 ? (unsigned char)p[0] << 8 | (unsigned char)p[1] : 1005;
    return 0;
  }
  if (c->opcode == 9) return send_frame(c, 10, p, n);
  if (w->protocol == SIO && c->opcode == 1 && n == 1 && *p == '2') return send_frame(c, 1, "3", 1);
  if (w->protocol == SIO && c->opcode == 1 && !c->answered && n && *p == '0') return c->answered = 1, send_frame(c, 1, "40", 2);
  return 1;
}

static size_t head_of(const unsigned char *p, size_t n, uint64_t *length) {
  if (n < 2) return 0;
  size_t extra = (p[1] & 127) == 126 ? 2 : (p[1] & 127) == 127 ? 8 : 0;
  if (n < 2 + extra) return 0;
  *length = p[1] & 127;
  if (extra) *length = 0;
  for (size_t k = 0; k < extra; k++) *length = *length << 8 | p[2 + k];
  return 2 + extra;
}

// Parse [p, end); returns where the rest begins, NULL: the server closes.
static char *parse(struct wire *w, struct connection *c, long i, char *p, char *end, int64_t now) {
  while (p < end) {
    if (!c->left) {
      uint64_t length;
      size_t head = head_of((unsigned char *)p, (size_t)(end - p), &length);
      int short_one = ((*p & 15) >= 8 || w->protocol == SIO) && length < 200;
      if (!head || (short_one && (uint64_t)(end - p) < head + length)) return p;
      c->opcode = *p & 15;
      c->counted = 0;
      c->left = length;
      p += head;
      if (short_one && !answer(w, c, p, length)) return NULL;
      continue;
    }
    uint64_t here = (uint64_t)(end - p) < c->left ? (uint64_t)(end - p) : c->left;
    char *rest = take(w, c, i, p, p + here, here == c->left, now);
    if (c->left != UINT64_MAX) c->left -= (uint64_t)(rest - p);
    if (rest < p + here) return rest;
    p = rest;
  }
  return p;
}

static int keep(struct connection *c, const char *p, const char *end) {
  c->carried = (uint32_t)(end - p);
  if (c->carried > CARRY) return 0;
  memcpy(c->carry, p, c->carried);
  return 1;
}

int wire_read(struct wire *w, struct connection *c, long i) {
  for (;;) {
    memcpy(buffer, c->carry, c->carried);
    ssize_t n = read(c->fd, buffer + c->carried, BUFFER);
    if (n < 0) return errno == EAGAIN;
    if (n == 0) return 0;
    int64_t now = now_ns();
    char *p = buffer, *end = buffer + c->carried + n;
    *end = 0;
    w->bytes += n;
    if (c->state == SHAKING) {
      char *body = memmem(buffer, (size_t)(end - buffer), "\r\n\r\n", 4);
      if (!body) return keep(c, buffer, end);
      body[2] = 0;
      if (!shaken(w, c, i, buffer)) return 0;
      p = body + 4;
    }
    if (!(p = parse(w, c, i, p, end, now)) || !keep(c, p, end)) return 0;
    if (n < BUFFER) return 1;
  }
}
