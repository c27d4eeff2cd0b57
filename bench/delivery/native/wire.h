/* What a browser says: the handshake of RFC 6455, masked frames, and the Pusher protocol in them. */
#ifndef POGO_BENCH_WIRE_H
#define POGO_BENCH_WIRE_H

#include <stddef.h>
#include <stdint.h>

enum opcode { TEXT = 0x1, CLOSE = 0x8, PING = 0x9, PONG = 0xA };

struct frame {
    enum opcode opcode;
    const char *payload;
    size_t size;
};

/* Read one frame of a server, which is not masked. Returns its size with its header, and 0 where
   it has not arrived completely. */
size_t read_frame(const char *data, size_t size, struct frame *frame);

/* Write one masked frame; `out` needs 8 bytes more than the payload, which has at most 65,535. */
size_t write_frame(char *out, enum opcode opcode, const char *payload, size_t size);

/* Write a handshake with the headers that Chromium sends. */
size_t write_handshake(char *out, size_t room, int port, const char *key);

/* Find a text in a frame's payload; NULL where there is none. */
const char *find(const struct frame *frame, const char *text);

#endif
