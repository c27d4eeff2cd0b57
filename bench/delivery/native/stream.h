/* The bytes of one connection, over TLS or not: a program is linked with one of the two. */
#ifndef POGO_BENCH_STREAM_H
#define POGO_BENCH_STREAM_H

#include <stddef.h>
#include <sys/types.h>

struct stream {
    int fd;
    /* What TLS knows of the connection; NULL without it. */
    void *tls;
};

enum progress { DONE, WAITING_TO_READ, FAILED };

/* Go on with what comes before the first byte, once the socket is connected. */
enum progress stream_begin(struct stream *stream);

/* Like recv and send. A read takes all that there is, since epoll does not see what TLS has. */
ssize_t stream_read(struct stream *stream, char *out, size_t room);
ssize_t stream_write(struct stream *stream, const char *data, size_t size);

/* Close the socket, without a word. */
void stream_close(struct stream *stream);

#endif
