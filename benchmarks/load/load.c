// A load client that is cheaper than any server under test.
//
//   load PROTOCOL PORT PATH CONNECTIONS IN-FLIGHT [-c CLIENTS] [-s SUBPROTOCOL] [-r READY] [-n "FIRST NUMBER MODE QUIET LIMIT [EVERY]"]
//
// PROTOCOL: ws, sse, sio. IN-FLIGHT: handshakes at one time. CLIENTS: a file with a line for each connection: its session
// cookie, a tab, the first text it sends. READY: a text that must come before a connection counts as ready.
// -n: begin to count before connecting. On standard input, a line each:
//   count FIRST NUMBER MODE QUIET LIMIT [EVERY]
//                                         count the messages FIRST … FIRST+NUMBER-1, until all have come, or nothing has for QUIET
//                                         seconds, or LIMIT seconds have passed; MODE: all (everybody gets all), each (one each in
//                                         turn); EVERY: read every so many seconds, 0: at once
//   end                                   also at the end of the input
// On standard output, a line of JSON each: {"event": "ready", …} when all are connected, {"event": "counted", …}.
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <unistd.h>

#include "account.h"
#include "wire.h"

static struct wire wire;
static struct account account;
static struct connection *connections;
static long number, opened, shaking, ready_ones, gone_early, in_flight;
static double quiet, limit, every;
static int64_t began, counting_since;
static int poller, announced;

static void marker(long i, const char *m, int64_t now) { account_take(&account, i, m, now); }

static void count(const char *order) {
  char mode[8] = "";
  long first, messages;
  every = 0;
  if (sscanf(order, "%ld %ld %7s %lf %lf %lf", &first, &messages, mode, &quiet, &limit, &every) < 5) {
    fprintf(stderr, "not FIRST NUMBER MODE QUIET LIMIT [EVERY]: %s\n", order);
    exit(2);
  }
  account_open(&account, number, first, messages, !strcmp(mode, "each"));
  wire.frames = wire.bytes = 0;
  counting_since = now_ns();
}

static void stop_counting_if_over(void) {
  if (!account.active) return;
  int64_t now = now_ns();
  int all = account.deliveries >= account_expected(&account) && now - account.changed > 200000000; // time for a second copy
  int silent = account.published && (double)(now - account.changed) > quiet * 1e9;
  if (!all && !silent && (double)(now - counting_since) < limit * 1e9) return;
  char more[200];
  snprintf(more, sizeof more, "\"frames\": %ld, \"bytes\": %ld, \"closed\": %ld, \"last_close\": %d, \"since_connect\": %.6f",
           wire.frames, wire.bytes, wire.closed, wire.last_close, (double)(account.last - began) / 1e9);
  account_print(&account, more);
}

static int ascending(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return x < y ? -1 : x > y;
}

static void announce_if_ready(void) {
  if (announced || ready_ones + gone_early < number) return;
  announced = 1;
  int64_t last = began;
  double *took = calloc((size_t)number + 1, sizeof *took);
  long n = 0;
  for (long i = 0; i < number; i++) {
    struct connection *c = &connections[i];
    if (!c->ready) continue;
    if (c->ready > last) last = c->ready;
    took[n++] = (double)(c->ready - c->began) / 1e6;
  }
  qsort(took, (size_t)n, sizeof *took, ascending);
  printf("{\"event\": \"ready\", \"connections\": %ld, \"failed\": %ld, \"seconds\": %.6f, \"p50\": %.3f, \"p99\": %.3f}\n",
         ready_ones, gone_early, (double)(last - began) / 1e9, n ? took[n / 2] : 0, n ? took[n * 99 / 100] : 0);
  fflush(stdout);
  free(took);
}

static void lose(struct connection *c) {
  if (c->state == CONNECTING || c->state == SHAKING) shaking--;
  if (c->state != READY) gone_early++, wire.failed++;
  c->state = GONE;
  wire.closed++;
  close(c->fd);
}

static void open_more(void) {
  while (opened < number && shaking < in_flight) {
    struct connection *c = &connections[opened];
    struct epoll_event e = {.events = EPOLLOUT, .data.u64 = (uint64_t)opened++};
    shaking++;
    c->state = CONNECTING;
    if (!wire_connect(&wire, c)) lose(c);
    else epoll_ctl(poller, EPOLL_CTL_ADD, c->fd, &e);
  }
}

static void attend(long i) {
  struct connection *c = &connections[i];
  enum state before = c->state;
  if (before == GONE) return;
  if (before == CONNECTING) {
    struct epoll_event e = {.events = EPOLLIN, .data.u64 = (uint64_t)i};
    if (wire_request(&wire, c, i)) epoll_ctl(poller, EPOLL_CTL_MOD, c->fd, &e);
    else lose(c);
    return;
  }
  int alive = wire_read(&wire, c, i);
  if (before == SHAKING && c->state > SHAKING) shaking--;
  if (before != READY && c->state == READY) ready_ones++;
  if (!alive) lose(c);
}

static int obey(void) { // 0: end
  static char line[4096];
  static size_t have;
  ssize_t n = read(0, line + have, sizeof line - have - 1);
  if (n <= 0) return 0;
  line[have += (size_t)n] = 0;
  for (char *end; (end = strchr(line, '\n'));) {
    *end = 0;
    if (!strncmp(line, "count ", 6)) count(line + 6);
    else return 0;
    have -= (size_t)(end + 1 - line);
    memmove(line, end + 1, have + 1);
  }
  return 1;
}

static void read_clients(const char *path) {
  FILE *file = fopen(path, "r");
  char line[4096];
  wire.cookies = calloc((size_t)number, sizeof(char *));
  wire.firsts = calloc((size_t)number, sizeof(char *));
  for (long i = 0; i < number; i++) {
    if (!file || !fgets(line, sizeof line, file)) {
      fprintf(stderr, "%s: %ld lines wanted, %ld there\n", path, number, i);
      exit(2);
    }
    line[strcspn(line, "\n")] = 0;
    char *tab = strchr(line, '\t');
    wire.firsts[i] = strdup(tab ? tab + 1 : "");
    if (tab) *tab = 0;
    wire.cookies[i] = strdup(line);
  }
  fclose(file);
}

// Leave the core to the others, so that what has come meanwhile is read in one go. A message that the server sends alone is
// read alone all the same, if no other comes for that connection in this time.
static void pause_reading(void) {
  if (account.active && every > 0) usleep((useconds_t)(every * 1e6));
}

static void parse_arguments(int argc, char **argv) {
  if (argc < 6) {
    fprintf(stderr, "load PROTOCOL PORT PATH CONNECTIONS IN-FLIGHT [-c CLIENTS] [-s SUBPROTOCOL] [-r READY] [-n COUNT]\n");
    exit(2);
  }
  wire.protocol = !strcmp(argv[1], "sse") ? SSE : !strcmp(argv[1], "sio") ? SIO : WS;
  wire.port = atoi(argv[2]);
  wire.path = argv[3];
  number = atol(argv[4]);
  in_flight = atol(argv[5]);
  wire.marker = marker;
  optind = 6;
  for (int option; (option = getopt(argc, argv, "c:s:r:n:")) != -1;) {
    if (option == 'c') read_clients(optarg);
    else if (option == 's') wire.subprotocol = optarg;
    else if (option == 'r') wire.ready = optarg;
    else if (option == 'n') count(optarg);
    else exit(2);
  }
}

int main(int argc, char **argv) {
  struct rlimit files;
  getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
  signal(SIGPIPE, SIG_IGN);
  parse_arguments(argc, argv);
  connections = calloc((size_t)number, sizeof *connections);
  poller = epoll_create1(0);
  struct epoll_event orders = {.events = EPOLLIN, .data.u64 = UINT64_MAX}, events[512];
  epoll_ctl(poller, EPOLL_CTL_ADD, 0, &orders);
  began = now_ns();
  for (;;) {
    open_more();
    int n = epoll_wait(poller, events, 512, 50);
    for (int k = 0; k < n; k++) {
      if (events[k].data.u64 != UINT64_MAX) attend((long)events[k].data.u64);
      else if (!obey()) return 0;
    }
    announce_if_ready();
    stop_counting_if_over();
    if (n < 512) pause_reading(); // else there is more to read that has come already
  }
}
