/* The little of HTTP/1.1 that a limit server needs: trusted peers, one machine. */
#ifndef FILELOFT_LIMIT_HTTP_H
#define FILELOFT_LIMIT_HTTP_H

#include <stddef.h>
#include <stdint.h>

enum { HEAD_BYTES = 16384 };

/* Bytes read from a connection: text[0, end) is one head, text[end, filled) came after it. */
struct head {
    char text[HEAD_BYTES + 1];
    size_t filled;
    size_t end;
};

/* Print the message with errno's text and exit 1: a measurement that failed has no figure. */
void die(const char *what) __attribute__((noreturn));

/* Seconds of a clock that only goes forward. */
double now(void);

/* A listening socket on 127.0.0.1; port 0 takes a free one, *port is what it became. */
int listen_on(int *port);

/* Read until a whole head is there, keeping what came after it. 0 at a clean end, 1 for a head. */
int read_head(int fd, struct head *head);

/* Drop the head and *body* bytes that came after it, so that the next head can be read. */
void drop_head(struct head *head, size_t body);

/* Copy the value of a field (any case) into out; 0 where there is none. */
int field(const struct head *head, const char *name, char *out, size_t room);

/* A field as a number, or otherwise where there is none. */
long long number_field(const struct head *head, const char *name, long long otherwise);

void send_all(int fd, const void *bytes, size_t count);

/* Standard Base64 of *count* bytes, NUL-terminated; out holds 4 * ((count + 2) / 3) + 1. */
void encode_base64(const unsigned char *bytes, size_t count, char *out);

#endif
