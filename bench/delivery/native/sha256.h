/* HMAC-SHA256 (RFC 2104, FIPS 180-4): signs private channels as an application does. */
#ifndef POGO_BENCH_SHA256_H
#define POGO_BENCH_SHA256_H

enum { HMAC_HEX = 65 };

/* Write the signature of a text by a key of at most 64 bytes, in hex with a zero at its end. */
void hmac_sha256_hex(const char *key, const char *text, char hex[HMAC_HEX]);

#endif
