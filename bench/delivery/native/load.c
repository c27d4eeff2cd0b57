/* The load: clients of one server, told what to do on standard input, a line each.
 *
 *   open COUNT AT_A_TIME CHANNEL  connect more clients, and subscribe them; answers when all are
 *   begin TIMED AWAKE             count anew; if AWAKE, do not sleep until `wait` is answered
 *   wait EVENTS MS                answer when so many events have arrived, or the time is over
 *   events COUNT WINDOW BYTES     have the first client send client events, WINDOW of them ahead
 *   churn PAIRS CHANNEL           have all clients subscribe and unsubscribe so often altogether
 *   ping MS                       ping the server from the first client that often; 0 ends it
 *   stall COUNT / resume COUNT    have the first clients read nothing, and read again
 *   drop                          drop all connections
 *
 * Each is answered by one line of JSON. Durations are in nanoseconds.
 *
 * Awake, it polls and does not sleep: waking a sleeping reader costs its writer, and by an amount
 * that depends on how busy the machine is.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "clients.h"
#include "clocks.h"

enum { BATCH = 256, STDIN = UINT32_MAX, MAX_LINE = 512 };

enum task { NONE, OPENING, WAITING };

static struct clients clients;
static enum task task;
static bool awake;
static uint64_t began, cpu_began, cpu_seen, busy, expected, deadline, ping_every, ping_due;

static int by_size(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

/* The median time between a message's first and its last arrival. */
static uint64_t median_span(void)
{
    static uint64_t spans[MAX_MESSAGES];
    size_t count = 0;

    for (size_t i = 0; i < MAX_MESSAGES; i++)
        if (clients.spans[i].first)
            spans[count++] = clients.spans[i].last - clients.spans[i].first;
    qsort(spans, count, sizeof *spans, by_size);
    return count ? spans[count / 2] : 0;
}

static void report(void)
{
    uint32_t fewest = UINT32_MAX, most = 0;

    for (unsigned i = 0; i < clients.count; i++) {
        const struct client *client = &clients.all[i];
        if (client->state != OPEN || client->stalled)
            continue;
        fewest = client->events < fewest ? client->events : fewest;
        most = client->events > most ? client->events : most;
    }
    printf("{\"opened\":%u,\"lost\":%u,\"events\":%" PRIu64 ",\"bytes\":%" PRIu64
           ",\"reads\":%" PRIu64 ",\"fewest\":%u,\"most\":%u,\"wall\":%" PRIu64 ",\"cpu\":%" PRIu64
           ",\"busy\":%" PRIu64 ",\"span\":%" PRIu64 ",\"latency\":",
           clients.opened, clients.lost, clients.events, clients.bytes, clients.reads,
           fewest < most ? fewest : most, most, monotonic_ns() - began, cpu_ns() - cpu_began,
           awake ? busy : cpu_ns() - cpu_began, median_span());
    histogram_print(&clients.latency);
    printf(",\"round_trip\":");
    histogram_print(&clients.round_trip);
    printf("}\n");
    fflush(stdout);
    task = NONE;
    awake = false;
}

static void reset(void)
{
    clients_reset(&clients);
    began = monotonic_ns();
    cpu_began = cpu_seen = cpu_ns();
    busy = 0;
}

static void write_event(unsigned size)
{
    int head = snprintf(clients.event, sizeof clients.event,
                        "{\"event\":\"client-event\",\"channel\":\"%s\",\"data\":\"", clients.channel);
    size_t end = size > (unsigned)head + 2 ? size - 2 : (unsigned)head;

    if (end > sizeof clients.event - 3)
        end = sizeof clients.event - 3;
    memset(clients.event + head, 'x', end - (unsigned)head);
    strcpy(clients.event + end, "\"}");
}

static void send_events(uint64_t count, unsigned window, unsigned size)
{
    write_event(size);
    reset();
    awake = true;
    expected = count;
    clients.to_send = count;
    deadline = UINT64_MAX;
    task = WAITING;
    while (window-- && clients.to_send)
        clients_send_event(&clients);
}

static void obey(const char *line)
{
    unsigned count, more, size;
    uint64_t events, ms;

    if (sscanf(line, "open %u %u %199s", &count, &more, clients.channel) == 3) {
        reset();
        clients.wanted = clients.count + count < MAX_CLIENTS ? clients.count + count : MAX_CLIENTS;
        clients.at_a_time = more;
        task = OPENING;
        clients_open(&clients);
        return;
    }
    if (sscanf(line, "wait %" SCNu64 " %" SCNu64, &events, &ms) == 2) {
        expected = events;
        deadline = monotonic_ns() + ms * 1000000u;
        task = WAITING;
        return;
    }
    if (sscanf(line, "events %" SCNu64 " %u %u", &events, &count, &size) == 3) {
        send_events(events, count, size);
        return;
    }
    if (sscanf(line, "churn %" SCNu64 " %199s", &events, clients.channel) == 2) {
        reset();
        awake = true;
        expected = events;
        deadline = UINT64_MAX;
        task = WAITING;
        clients_churn(&clients, events);
        return;
    }
    if (sscanf(line, "begin %u %u", &more, &count) == 2) {
        clients.timed = more;
        awake = count;
        reset();
    } else if (sscanf(line, "ping %" SCNu64, &ms) == 1) {
        ping_every = ms * 1000000u;
        ping_due = monotonic_ns();
    } else if (sscanf(line, "stall %u", &count) == 1) {
        clients_stall(&clients, count, true);
    } else if (sscanf(line, "resume %u", &count) == 1) {
        clients_stall(&clients, count, false);
    } else if (strncmp(line, "drop", 4) == 0) {
        clients_drop(&clients);
    } else {
        fprintf(stderr, "what is this: %s\n", line);
        exit(EXIT_FAILURE);
    }
    printf("{}\n");
    fflush(stdout);
}

/* Obey the lines that have come; whoever asks waits for each answer, so they come one by one. */
static void read_line(void)
{
    char line[MAX_LINE];
    ssize_t size = read(STDIN_FILENO, line, sizeof line - 1);

    if (size <= 0)
        exit(EXIT_SUCCESS);
    line[size] = '\0';
    obey(line);
}

static void look_at_task(void)
{
    if (task == OPENING && clients.opened + clients.lost >= clients.wanted)
        report();
    else if (task == WAITING && (clients.events >= expected || monotonic_ns() >= deadline))
        report();
}

/* Milliseconds to sleep: until the next ping or the end of the task. */
static int patience(void)
{
    uint64_t now = monotonic_ns(), next = UINT64_MAX;

    if (task == WAITING)
        next = deadline;
    if (ping_every && ping_due < next)
        next = ping_due;
    if (next == UINT64_MAX)
        return -1;
    return next <= now ? 0 : (int)((next - now + 999999u) / 1000000u);
}

static void turn(void)
{
    struct epoll_event ready[BATCH];
    int count = epoll_wait(clients.epoll, ready, BATCH, awake ? 0 : patience());

    if (count < 0 && errno != EINTR)
        die("epoll_wait");
    for (int i = 0; i < count; i++) {
        if (ready[i].data.u32 == STDIN)
            read_line();
        else
            clients_ready(&clients, ready[i].data.u32);
    }
    if (ping_every && monotonic_ns() >= ping_due) {
        ping_due += ping_every;
        clients_ping(&clients);
    }
    if (awake) {
        uint64_t now = cpu_ns();
        busy += count > 0 ? now - cpu_seen : 0;
        cpu_seen = now;
        if (count <= 0)
            sched_yield();
    }
    look_at_task();
}

int main(int argc, char **argv)
{
    struct epoll_event event = {EPOLLIN, {.u32 = STDIN}};

    if (argc != 4) {
        fprintf(stderr, "usage: load PORT APP_KEY APP_SECRET\n");
        return EXIT_FAILURE;
    }
    clients.port = atoi(argv[1]);
    clients.key = argv[2];
    clients.secret = argv[3];
    clients.epoll = epoll_create1(0);
    if (clients.epoll < 0 || epoll_ctl(clients.epoll, EPOLL_CTL_ADD, STDIN_FILENO, &event))
        die("epoll");
    for (;;)
        turn();
}
