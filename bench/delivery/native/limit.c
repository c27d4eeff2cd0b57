/* The limit: a server that does nothing but write to its clients, by one send() for each.
 *
 * It speaks as much of the protocol as the load needs to take it for a server, prints its port,
 * and is told what to do on standard input:
 *
 *   send ROUNDS BYTES PER_SECOND   write one event of so many bytes to every client, ROUNDS times
 *
 * which it answers by one line of JSON.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "clocks.h"

enum { BATCH = 64, MAX_CLIENTS = 20000, MAX_EVENT = 1 << 16, STDIN = -1, LISTENER = -2 };

static const char WELCOME[] =
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"
    "\x81\x4a{\"event\":\"pusher:connection_established\",\"data\":\"{\\\"socket_id\\\":\\\"1.1\\\"}\"}";
static const char SUBSCRIBED[] = "\x81\x32{\"event\":\"pusher_internal:subscription_succeeded\"}";

static int clients[MAX_CLIENTS];
static char talked[65536];
static int count;

static int listen_anywhere(void)
{
    struct sockaddr_in at = {.sin_family = AF_INET};
    socklen_t size = sizeof at;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);

    inet_pton(AF_INET, "127.0.0.1", &at.sin_addr);
    if (fd < 0 || bind(fd, (struct sockaddr *)&at, size) || listen(fd, 4096) ||
        getsockname(fd, (struct sockaddr *)&at, &size))
        die("listen");
    printf("{\"port\":%u}\n", ntohs(at.sin_port));
    fflush(stdout);
    return fd;
}

static void watch(int epoll, int fd, int name)
{
    struct epoll_event event = {EPOLLIN, {.fd = name}};

    if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event))
        die("epoll_ctl");
}

static void accept_all(int epoll, int listener)
{
    int fd, on = 1;

    while (count < MAX_CLIENTS && (fd = accept4(listener, NULL, NULL, 0)) >= 0) {
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        talked[fd] = 0;
        clients[count++] = fd;
        watch(epoll, fd, fd);
    }
}

static void forget(int fd)
{
    for (int i = 0; i < count; i++)
        if (clients[i] == fd)
            clients[i--] = clients[--count];
    close(fd);
}

/* Answer the handshake, and then the subscription: each arrives in one piece. */
static void answer(int fd)
{
    char ignored[4096];

    if (recv(fd, ignored, sizeof ignored, 0) <= 0)
        forget(fd);
    else if (talked[fd] == 0)
        send(fd, WELCOME, sizeof WELCOME - 1, MSG_NOSIGNAL);
    else if (talked[fd] == 1)
        send(fd, SUBSCRIBED, sizeof SUBSCRIBED - 1, MSG_NOSIGNAL);
    talked[fd] = 2 - (talked[fd] == 0);
}

static size_t write_event(char *out, size_t size)
{
    out[0] = (char)0x81;
    out[1] = 126;
    out[2] = (char)(size >> 8);
    out[3] = (char)size;
    memset(out + 4, 'x', size);
    return size + 4;
}

static void sleep_until(uint64_t ns)
{
    struct timespec until = {(time_t)(ns / 1000000000u), (long)(ns % 1000000000u)};

    clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
}

static void write_to(int fd, const char *data, size_t size)
{
    if (send(fd, data, size, MSG_NOSIGNAL) == (ssize_t)size)
        return;
    if (errno == EPIPE || errno == ECONNRESET)
        exit(EXIT_FAILURE); /* The measurement was broken off. */
    die("send");
}

static void send_rounds(uint64_t rounds, size_t size, double rate)
{
    static char event[MAX_EVENT + 4];
    size_t length = write_event(event, size);
    uint64_t began = monotonic_ns(), cpu = cpu_ns();

    for (uint64_t round = 0; round < rounds; round++) {
        sleep_until(began + (uint64_t)((double)round * 1e9 / rate));
        for (int i = 0; i < count; i++)
            write_to(clients[i], event, length);
    }
    printf("{\"writes\":%" PRIu64 ",\"cpu\":%" PRIu64 ",\"wall\":%" PRIu64 "}\n",
           rounds * (uint64_t)count, cpu_ns() - cpu, monotonic_ns() - began);
    fflush(stdout);
}

static void read_line(void)
{
    char line[256];
    ssize_t got = read(STDIN_FILENO, line, sizeof line - 1);
    uint64_t rounds;
    size_t size;
    double rate;

    if (got <= 0)
        exit(EXIT_SUCCESS);
    line[got] = '\0';
    if (sscanf(line, "send %" SCNu64 " %zu %lf", &rounds, &size, &rate) != 3 || size < 126 ||
        size >= MAX_EVENT) {
        fprintf(stderr, "what is this: %s\n", line);
        exit(EXIT_FAILURE);
    }
    send_rounds(rounds, size, rate);
}

int main(void)
{
    struct epoll_event ready[BATCH];
    int epoll = epoll_create1(0), listener = listen_anywhere();

    watch(epoll, STDIN_FILENO, STDIN);
    watch(epoll, listener, LISTENER);
    for (;;) {
        int found = epoll_wait(epoll, ready, BATCH, -1);
        for (int i = 0; i < found; i++) {
            if (ready[i].data.fd == STDIN)
                read_line();
            else if (ready[i].data.fd == LISTENER)
                accept_all(epoll, listener);
            else
                answer(ready[i].data.fd);
        }
    }
}
