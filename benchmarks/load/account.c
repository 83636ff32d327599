#include "account.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

int64_t now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_REALTIME, &t); // the publisher's clock
  return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static int64_t digits(const char *p, int n) {
  int64_t value = 0;
  while (n--) value = value * 10 + (*p++ - '0');
  return value;
}

void account_open(struct account *a, long connections, long first, long number, int each) {
  free(a->seen);
  free(a->late);
  *a = (struct account){.active = 1, .connections = connections, .first = first, .number = number, .each = each};
  a->seen = calloc((size_t)(connections * number + 7) / 8 + 1, 1);
  a->room = account_expected(a) + 1024;
  a->late = malloc((size_t)a->room * sizeof *a->late);
  if (!a->seen || !a->late) {
    fprintf(stderr, "no memory for %ld messages to %ld connections\n", number, connections);
    exit(1);
  }
  a->changed = now_ns();
}

long account_expected(const struct account *a) { return a->each ? a->number : a->number * a->connections; }

void account_take(struct account *a, long connection, const char *marker, int64_t now) {
  if (!a->active) return;
  long n = digits(marker + 2, 10) - a->first;
  if (n < 0 || n >= a->number) return; // of an earlier count, come late
  a->changed = a->last = now;
  if (a->each && n % a->connections != connection) {
    a->stray++;
    return;
  }
  size_t bit = (size_t)(connection * a->number + n);
  if (a->seen[bit / 8] & (1 << bit % 8)) {
    a->doubled++;
    return;
  }
  a->seen[bit / 8] |= 1 << bit % 8;
  int64_t published = digits(marker + 13, 19), late = (now - published) / 1000;
  if (!a->published || published < a->published) a->published = published;
  if (a->deliveries < a->room) a->late[a->deliveries] = late < 0 ? 0 : late > UINT32_MAX ? UINT32_MAX : (uint32_t)late;
  a->deliveries++;
}

static int ascending(const void *a, const void *b) {
  uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
  return x < y ? -1 : x > y;
}

static double at(const struct account *a, double part) {
  return a->deliveries ? a->late[(size_t)(part * (double)(a->deliveries - 1))] / 1e3 : 0;
}

void account_print(struct account *a, const char *more) {
  qsort(a->late, (size_t)a->deliveries, sizeof *a->late, ascending);
  double seconds = a->deliveries ? (double)(a->last - a->published) / 1e9 : 0;
  printf("{\"event\": \"counted\", \"deliveries\": %ld, \"lost\": %ld, \"doubled\": %ld, \"stray\": %ld, "
         "\"seconds\": %.6f, \"p50\": %.3f, \"p90\": %.3f, \"p99\": %.3f, \"max\": %.3f, \"published\": %lld, "
         "\"last\": %lld, %s}\n",
         a->deliveries, account_expected(a) - a->deliveries, a->doubled, a->stray, seconds, at(a, .5), at(a, .9),
         at(a, .99), at(a, 1), (long long)a->published, (long long)a->last, more);
  fflush(stdout);
  a->active = 0;
}
