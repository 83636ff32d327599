// One connection: the handshake, and what of the bytes that come is payload (RFC 6455; event streams; Socket.IO, protocol 5).
#ifndef WIRE_H
#define WIRE_H
#include <stddef.h>
#include <stdint.h>

enum protocol { WS, SSE, SIO };
enum state { UNUSED, CONNECTING, SHAKING, OPEN, READY, GONE };

#define CARRY 4096 // an HTTP head while shaking hands; afterwards the start of a frame's head, or of a marker

struct connection {
  int fd;
  enum state state;
  uint32_t carried;
  uint64_t left; // bytes of the frame's payload that have not come yet
  uint8_t opcode, counted, answered;
  char *carry;
  int64_t began, ready;
};

struct wire {
  enum protocol protocol;
  int port;
  const char *path, *subprotocol, *ready; // ready: a text that has to come before a connection counts as ready
  char **cookies, **firsts;               // for each connection, or NULL
  long frames, closed, failed, bytes;
  int last_close;
  void (*marker)(long connection, const char *marker, int64_t now);
};

int wire_connect(struct wire *w, struct connection *c);
int wire_request(struct wire *w, struct connection *c, long i); // 0: gone
int wire_read(struct wire *w, struct connection *c, long i);    // 0: gone
#endif
