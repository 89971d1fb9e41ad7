/* SPDX-License-Identifier: Apache-2.0 */
/* A growing piece of text, and JSON as far as a CNI plugin needs it: check a value, find a key of an object, quote. */
#pragma once
#include <stdbool.h>
#include <stddef.h>

struct text {
	char *bytes; /* always ends with a zero that is not counted */
	size_t length;
	size_t room;
};

void text_add(struct text *t, const char *bytes, size_t length);
void text_put(struct text *t, const char *string);
/* The string as a JSON string, in quotes. */
void text_quote(struct text *t, const char *string);
void text_free(struct text *t);

/* Part of a JSON text. */
struct span {
	const char *at;
	size_t length;
};

/* Whether all of the text is one JSON object (RFC 8259), nested at most 64 deep. */
bool json_is_object(const char *bytes, size_t length);
/* Value of a key at the top of an object that json_is_object accepted; false if it has none. */
bool json_find(const char *object, size_t length, const char *key, struct span *value);
/* The same for a string value, unescaped and terminated (characters beyond ASCII that are escaped become '?'). NULL if
 * there is none; the caller frees it. */
char *json_find_string(const char *object, size_t length, const char *key);
