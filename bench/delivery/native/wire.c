#include "wire.h"

#include <stdio.h>
#include <string.h>

static const uint8_t MASK[4] = {0x37, 0xfa, 0x21, 0x3d};

size_t read_frame(const char *data, size_t size, struct frame *frame)
{
    const uint8_t *bytes = (const uint8_t *)data;
    size_t head = 2, payload;

    if (size < head)
        return 0;
    payload = bytes[1] & 0x7f;
    if (payload >= 126) {
        size_t wide = payload == 126 ? 2 : 8;
        head += wide;
        if (size < head)
            return 0;
        payload = 0;
        for (size_t i = 2; i < head; i++)
            payload = payload << 8 | bytes[i];
    }
    if (size - head < payload)
        return 0;
    frame->opcode = bytes[0] & 0x0f;
    frame->payload = data + head;
    frame->size = payload;
    return head + payload;
}

size_t write_frame(char *out, enum opcode opcode, const char *payload, size_t size)
{
    char *to = out;

    *to++ = (char)(0x80 | opcode);
    if (size < 126) {
        *to++ = (char)(0x80 | size);
    } else {
        *to++ = (char)(0x80 | 126);
        *to++ = (char)(size >> 8);
        *to++ = (char)size;
    }
    memcpy(to, MASK, sizeof MASK);
    to += sizeof MASK;
    for (size_t i = 0; i < size; i++)
        *to++ = (char)((uint8_t)payload[i] ^ MASK[i % sizeof MASK]);
    return (size_t)(to - out);
}

size_t write_handshake(char *out, size_t room, int port, const char *key)
{
    int size = snprintf(
        out, room,
        "GET /app/%s?protocol=7&client=js&version=8.4.0&flash=false HTTP/1.1\r\n"
        "Host: 127.0.0.1:%d\r\n"
        "Connection: Upgrade\r\n"
        "Pragma: no-cache\r\n"
        "Cache-Control: no-cache\r\n"
        "User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) "
        "Chrome/143.0.0.0 Safari/537.36\r\n"
        "Upgrade: websocket\r\n"
        "Origin: http://127.0.0.1:%d\r\n"
        "Sec-WebSocket-Version: 13\r\n"
        "Accept-Encoding: gzip, deflate, br, zstd\r\n"
        "Accept-Language: en-GB,en-US;q=0.9,en;q=0.8\r\n"
        "Cookie: session=eyJpdiI6IjRhZ1BtRm5vdGFyZWFsb25lIiwidmFsdWUiOiJub3RoaW5nIn0\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n\r\n",
        key, port, port);
    return (size_t)size;
}

const char *find(const struct frame *frame, const char *text)
{
    return memmem(frame->payload, frame->size, text, strlen(text));
}
