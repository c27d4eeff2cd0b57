/* Streams over TLS. Certificates are not checked: the server is the one under measurement. */
#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <unistd.h>

#include "clocks.h"
#include "stream.h"

static SSL_CTX *context(void)
{
    static SSL_CTX *made;

    if (!made) {
        made = SSL_CTX_new(TLS_client_method());
        if (!made)
            die("SSL_CTX_new");
        SSL_CTX_set_verify(made, SSL_VERIFY_NONE, NULL);
        /* Between messages, a connection needs no buffers. */
        SSL_CTX_set_mode(made, SSL_MODE_RELEASE_BUFFERS);
        signal(SIGPIPE, SIG_IGN);
    }
    return made;
}

enum progress stream_begin(struct stream *stream)
{
    if (!stream->tls) {
        stream->tls = SSL_new(context());
        if (!stream->tls || !SSL_set_fd(stream->tls, stream->fd))
            die("SSL_new");
    }
    ERR_clear_error();
    int result = SSL_connect(stream->tls);
    if (result == 1)
        return DONE;
    return SSL_get_error(stream->tls, result) == SSL_ERROR_WANT_READ ? WAITING_TO_READ : FAILED;
}

ssize_t stream_read(struct stream *stream, char *out, size_t room)
{
    size_t done = 0, some;

    ERR_clear_error();
    while (done < room && SSL_read_ex(stream->tls, out + done, room - done, &some))
        done += some;
    if (done)
        return (ssize_t)done;
    if (SSL_get_error(stream->tls, 0) != SSL_ERROR_WANT_READ)
        return 0;
    errno = EAGAIN;
    return -1;
}

ssize_t stream_write(struct stream *stream, const char *data, size_t size)
{
    size_t done;

    ERR_clear_error();
    if (SSL_write_ex(stream->tls, data, size, &done))
        return (ssize_t)done;
    /* A client says little: what the socket does not take is for somebody who has gone. */
    errno = EPIPE;
    return -1;
}

void stream_close(struct stream *stream)
{
    SSL_free(stream->tls);
    stream->tls = NULL;
    close(stream->fd);
}
