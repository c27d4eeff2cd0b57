#include "clients.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "clocks.h"
#include "sha256.h"
#include "wire.h"

static char buffer[4 << 20];

static void interest(struct clients *clients, struct client *client, int change, uint32_t events)
{
    struct epoll_event event = {events, {.u32 = (uint32_t)(client - clients->all)}};

    if (epoll_ctl(clients->epoll, change, client->stream.fd, &event))
        die("epoll_ctl");
}

static void say(struct client *client, const char *data, size_t size)
{
    /* A client says little, and one thing at a time: the socket takes it whole. */
    ssize_t sent = stream_write(&client->stream, data, size);
    bool gone = sent < 0 && (errno == EPIPE || errno == ECONNRESET);

    if (sent != (ssize_t)size && !gone)
        die("send");
}

static void say_text(struct client *client, const char *text)
{
    char frame[sizeof(((struct clients *)NULL)->event) + 8];
    say(client, frame, write_frame(frame, TEXT, text, strlen(text)));
}

static void start(struct clients *clients)
{
    struct client *client = &clients->all[clients->count];
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)clients->port)};
    int on = 1;

    memset(client, 0, sizeof *client);
    inet_pton(AF_INET, "127.0.0.1", &to.sin_addr);
    client->stream.fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (client->stream.fd < 0)
        die("socket");
    setsockopt(client->stream.fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (connect(client->stream.fd, (struct sockaddr *)&to, sizeof to) && errno != EINPROGRESS)
        die("connect");
    interest(clients, client, EPOLL_CTL_ADD, EPOLLOUT);
    clients->count++;
    clients->opening++;
}

void clients_open(struct clients *clients)
{
    while (clients->opening < clients->at_a_time && clients->count < clients->wanted)
        start(clients);
}

static void lose(struct clients *clients, struct client *client)
{
    if (client->state == OPEN)
        clients->opened--;
    else
        clients->opening--;
    client->state = GONE;
    clients->lost++;
    stream_close(&client->stream);
    free(client->carry);
    client->carry = NULL;
}

/* Write the channel's name with a number in the place of its `*`, if it has one. */
static void name_channel(const struct clients *clients, unsigned number, char *name, size_t room)
{
    const char *star = strchr(clients->channel, '*');

    if (star)
        snprintf(name, room, "%.*s%u%s", (int)(star - clients->channel), clients->channel, number,
                 star + 1);
    else
        snprintf(name, room, "%s", clients->channel);
}

static void subscribe(struct clients *clients, struct client *client, const struct frame *greeting)
{
    char name[MAX_CHANNEL + 16], id[64] = "", signed_text[sizeof name + sizeof id], hex[HMAC_HEX];
    char text[1024];
    const char *from = find(greeting, "socket_id\\\":\\\"");

    name_channel(clients, (unsigned)(client - clients->all), name, sizeof name);
    if (!from || sscanf(from, "socket_id\\\":\\\"%63[0-9.]", id) != 1) {
        fprintf(stderr, "no socket id: %.*s\n", (int)greeting->size, greeting->payload);
        exit(EXIT_FAILURE);
    }
    if (strncmp(name, "private-", 8) == 0) {
        snprintf(signed_text, sizeof signed_text, "%s:%s", id, name);
        hmac_sha256_hex(clients->secret, signed_text, hex);
        snprintf(text, sizeof text,
                 "{\"event\":\"pusher:subscribe\",\"data\":{\"auth\":\"%s:%s\",\"channel\":\"%s\"}}",
                 clients->key, hex, name);
    } else {
        snprintf(text, sizeof text,
                 "{\"event\":\"pusher:subscribe\",\"data\":{\"auth\":\"\",\"channel\":\"%s\"}}", name);
    }
    say_text(client, text);
    client->state = SUBSCRIBING;
}

/* Subscribe to the next channel for a moment, or else leave the one that the client has. */
static void churn(struct clients *clients, struct client *client, bool subscribe)
{
    char name[MAX_CHANNEL + 16], text[512];

    if (subscribe)
        client->churning = (uint32_t)++clients->churned;
    name_channel(clients, client->churning, name, sizeof name);
    snprintf(text, sizeof text, "{\"event\":\"pusher:%ssubscribe\",\"data\":{\"channel\":\"%s\"}}",
             subscribe ? "" : "un", name);
    say_text(client, text);
}

static void churned(struct clients *clients, struct client *client)
{
    churn(clients, client, false);
    client->churning = 0;
    clients->events++;
    if (clients->churned < clients->to_churn)
        churn(clients, client, true);
}

static void time_event(struct clients *clients, const struct frame *frame)
{
    unsigned long long sequence, sent;
    uint64_t now = monotonic_ns();
    const char *data = find(frame, "\"data\":\"[");

    if (!data || sscanf(data, "\"data\":\"[%llu,%llu,", &sequence, &sent) != 2)
        return;
    struct span *span = &clients->spans[sequence % MAX_MESSAGES];
    if (!span->first)
        span->first = now;
    span->last = now;
    histogram_add(&clients->latency, now - sent);
}

static void text_received(struct clients *clients, struct client *client, const struct frame *frame)
{
    static const char internal[] = "{\"event\":\"pusher";

    if (frame->size < sizeof internal || memcmp(frame->payload, internal, sizeof internal - 1)) {
        client->events++;
        clients->events++;
        if (clients->timed)
            time_event(clients, frame);
        if (clients->to_send)
            clients_send_event(clients);
    } else if (client->state == GREETING) {
        subscribe(clients, client, frame);
    } else if (client->state == SUBSCRIBING && find(frame, "subscription_succeeded")) {
        client->state = OPEN;
        clients->opened++;
        clients->opening--;
        clients_open(clients);
    } else if (client->churning && find(frame, "subscription_succeeded")) {
        churned(clients, client);
    } else if (find(frame, "pusher:pong")) {
        uint64_t sent = clients->pinged[clients->pongs++ % MAX_PINGS];
        histogram_add(&clients->round_trip, monotonic_ns() - sent);
    } else if (client->state != OPEN) {
        fprintf(stderr, "refused: %.*s\n", (int)frame->size, frame->payload);
    }
}

static void frame_received(struct clients *clients, struct client *client, const struct frame *frame)
{
    char answer[160];

    if (frame->opcode == TEXT)
        text_received(clients, client, frame);
    else if (frame->opcode == PING)
        say(client, answer, write_frame(answer, PONG, frame->payload, frame->size));
    else if (frame->opcode == CLOSE)
        lose(clients, client);
}

/* Take the answer to the handshake off; returns its size, 0 where it is not complete. */
static size_t take_handshake(struct client *client, const char *data, size_t size)
{
    struct frame head = {TEXT, data, size};
    const char *end = find(&head, "\r\n\r\n");

    if (!end)
        return 0;
    if (memcmp(data, "HTTP/1.1 101", 12)) {
        fprintf(stderr, "no handshake: %.*s\n", (int)(end - data), data);
        exit(EXIT_FAILURE);
    }
    client->state = GREETING;
    return (size_t)(end + 4 - data);
}

static void consume(struct clients *clients, struct client *client, size_t size)
{
    struct frame frame;
    size_t done = client->state == HANDSHAKE ? take_handshake(client, buffer, size) : 0, next;

    if (client->state != HANDSHAKE) {
        while (client->state != GONE &&
               (next = read_frame(buffer + done, size - done, &frame)) > 0) {
            frame_received(clients, client, &frame);
            done += next;
        }
    }
    if (client->state == GONE)
        return;
    client->carried = (uint32_t)(size - done);
    if (!client->carried && !client->carry)
        return;
    free(client->carry);
    client->carry = NULL;
    if (client->carried) {
        client->carry = malloc(client->carried);
        if (!client->carry)
            die("malloc");
        memcpy(client->carry, buffer + done, client->carried);
    }
}

/* Say the first thing, when there is a connection to say it on. */
static void connected(struct clients *clients, struct client *client)
{
    char request[2048];
    enum progress progress = stream_begin(&client->stream);

    if (progress == FAILED) {
        lose(clients, client);
        clients_open(clients);
        return;
    }
    interest(clients, client, EPOLL_CTL_MOD, EPOLLIN);
    if (progress == DONE) {
        client->state = HANDSHAKE;
        say(client, request, write_handshake(request, sizeof request, clients->port, clients->key));
    }
}

void clients_ready(struct clients *clients, uint32_t number)
{
    struct client *client = &clients->all[number];
    ssize_t size;

    if (client->state == GONE || client->stalled)
        return;
    if (client->state == CONNECTING) {
        connected(clients, client);
        return;
    }
    if (client->carried)
        memcpy(buffer, client->carry, client->carried);
    size = stream_read(&client->stream, buffer + client->carried, sizeof buffer - client->carried);
    if (size < 0 && errno == EAGAIN)
        return;
    if (size <= 0) {
        lose(clients, client);
        clients_open(clients);
        return;
    }
    clients->bytes += (uint64_t)size;
    clients->reads++;
    consume(clients, client, (size_t)size + client->carried);
}

void clients_reset(struct clients *clients)
{
    clients->events = clients->bytes = clients->reads = 0;
    for (unsigned i = 0; i < clients->count; i++)
        clients->all[i].events = 0;
    memset(clients->spans, 0, sizeof clients->spans);
    histogram_clear(&clients->latency);
    histogram_clear(&clients->round_trip);
}

void clients_stall(struct clients *clients, unsigned count, bool stalled)
{
    for (unsigned i = 0; i < count && i < clients->count; i++) {
        struct client *client = &clients->all[i];
        if (client->state == OPEN && client->stalled != stalled) {
            client->stalled = stalled;
            interest(clients, client, stalled ? EPOLL_CTL_DEL : EPOLL_CTL_ADD, EPOLLIN);
        }
    }
}

void clients_churn(struct clients *clients, uint64_t pairs)
{
    clients->churned = 0;
    clients->to_churn = pairs;
    for (unsigned i = 0; i < clients->count && clients->churned < pairs; i++)
        if (clients->all[i].state == OPEN)
            churn(clients, &clients->all[i], true);
}

void clients_ping(struct clients *clients)
{
    if (!clients->opened || clients->pings - clients->pongs >= MAX_PINGS)
        return;
    clients->pinged[clients->pings++ % MAX_PINGS] = monotonic_ns();
    say_text(&clients->all[0], "{\"event\":\"pusher:ping\",\"data\":{}}");
}

void clients_send_event(struct clients *clients)
{
    clients->to_send--;
    say_text(&clients->all[0], clients->event);
}

void clients_drop(struct clients *clients)
{
    struct linger at_once = {1, 0};

    for (unsigned i = 0; i < clients->count; i++) {
        struct client *client = &clients->all[i];
        if (client->state != GONE) {
            setsockopt(client->stream.fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
            stream_close(&client->stream);
            free(client->carry);
        }
    }
    clients->count = clients->wanted = clients->opening = clients->opened = clients->lost = 0;
    clients->pings = clients->pongs = 0;
}
