/* Many WebSocket clients in one thread: they connect, subscribe, and count what they are sent. */
#ifndef POGO_BENCH_CLIENTS_H
#define POGO_BENCH_CLIENTS_H

#include <stdbool.h>
#include <stdint.h>

#include "histogram.h"
#include "stream.h"

enum { MAX_CLIENTS = 20000, MAX_CHANNEL = 200, MAX_MESSAGES = 1 << 16, MAX_PINGS = 1 << 12 };

enum state { CONNECTING, HANDSHAKE, GREETING, SUBSCRIBING, OPEN, GONE };

struct client {
    struct stream stream;
    enum state state;
    uint32_t events;
    /* The number of the channel that it subscribes to for a moment; 0 while there is none. */
    uint32_t churning;
    bool stalled;
    /* The beginning of a frame that has not arrived completely; mostly there is none. */
    uint32_t carried;
    char *carry;
};

/* When the first and the last client had one message. */
struct span {
    uint64_t first;
    uint64_t last;
};

struct clients {
    int epoll;
    int port;
    const char *key;
    const char *secret;
    char channel[MAX_CHANNEL];
    struct client all[MAX_CLIENTS];
    unsigned count;
    /* How many there shall be, how many are on their way, subscribed, and lost. */
    unsigned wanted, opening, opened, lost;
    unsigned at_a_time;
    /* Since `clients_reset`. */
    uint64_t events, bytes, reads;
    /* Whether events carry "[SEQUENCE,NANOSECONDS," and are timed by it. */
    bool timed;
    struct histogram latency;
    struct span spans[MAX_MESSAGES];
    /* The pings of the first client, whose answers come in order. */
    uint64_t pinged[MAX_PINGS];
    uint64_t pings, pongs;
    struct histogram round_trip;
    /* Subscriptions for a moment that have begun, and that there shall be. */
    uint64_t churned, to_churn;
    /* Client events that the first client has yet to send, one for each that another receives. */
    uint64_t to_send;
    char event[4096];
};

/* Connect `wanted - count` more to `channel` (each `*` in it is the client's number). */
void clients_open(struct clients *clients);

/* Act on what epoll says of one client. */
void clients_ready(struct clients *clients, uint32_t number);

/* Count anew. */
void clients_reset(struct clients *clients);

/* Have the first so many clients read nothing, or read again. */
void clients_stall(struct clients *clients, unsigned count, bool stalled);

/* Have each subscribe to `channel` and leave it, until there were so many pairs, each an event. */
void clients_churn(struct clients *clients, uint64_t pairs);

void clients_ping(struct clients *clients);
void clients_send_event(struct clients *clients);

/* Drop all connections, without a word. */
void clients_drop(struct clients *clients);

#endif
