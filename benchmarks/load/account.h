// The account of what should come and what came: lost, doubled, astray, and how late.
#ifndef ACCOUNT_H
#define ACCOUNT_H
#include <stdint.h>

#define MARKER 33 // "@@" ten digits ":" nineteen digits ";", as peers/marker.py writes it

struct account {
  int active;
  long connections, first, number; // messages first … first + number - 1
  int each;                        // 0: everybody gets all; 1: message first + i goes to connection i % connections only
  uint8_t *seen;                   // one bit for each connection and message
  uint32_t *late;                  // microseconds from the publish call to the read, one for each delivery
  long room, deliveries, doubled, stray;
  int64_t published, last, changed; // ns: first publish call, last delivery, last time that anything came
};

int64_t now_ns(void);
void account_open(struct account *a, long connections, long first, long number, int each);
void account_take(struct account *a, long connection, const char *marker, int64_t now);
long account_expected(const struct account *a);
void account_print(struct account *a, const char *more);
#endif
