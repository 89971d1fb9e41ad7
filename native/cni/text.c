/* SPDX-License-Identifier: Apache-2.0 */
#include "text.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_DEPTH = 64 };

void text_add(struct text *t, const char *bytes, size_t length)
{
	if (t->length + length + 1 > t->room) {
		size_t room = (t->length + length + 1) * 2;
		char *grown = realloc(t->bytes, room);
		if (!grown) {
			perror("cilium-cni");
			exit(1);
		}
		t->bytes = grown;
		t->room = room;
	}
	memcpy(t->bytes + t->length, bytes, length);
	t->length += length;
	t->bytes[t->length] = 0;
}

void text_put(struct text *t, const char *string) { text_add(t, string, strlen(string)); }

void text_quote(struct text *t, const char *string)
{
	text_put(t, "\"");
	for (const unsigned char *c = (const unsigned char *)string; *c; c++) {
		char escaped[8];
		if (*c == '"' || *c == '\\') {
			snprintf(escaped, sizeof escaped, "\\%c", *c);
			text_put(t, escaped);
		} else if (*c < 0x20) {
			snprintf(escaped, sizeof escaped, "\\u%04x", *c);
			text_put(t, escaped);
		} else
			text_add(t, (const char *)c, 1);
	}
	text_put(t, "\"");
}

void text_free(struct text *t)
{
	free(t->bytes);
	*t = (struct text){ 0 };
}

struct cursor {
	const char *at;
	const char *end;
};

static void skip_space(struct cursor *c)
{
	while (c->at < c->end && (*c->at == ' ' || *c->at == '\t' || *c->at == '\n' || *c->at == '\r')) c->at++;
}

static bool take(struct cursor *c, char wanted)
{
	if (c->at >= c->end || *c->at != wanted) return false;
	c->at++;
	return true;
}

static bool is_hex(char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'); }

static bool skip_string(struct cursor *c)
{
	if (!take(c, '"')) return false;
	while (c->at < c->end) {
		char x = *c->at++;
		if (x == '"') return true;
		if ((unsigned char)x < 0x20) return false;
		if (x != '\\') continue;
		if (c->at >= c->end || !strchr("\"\\/bfnrtu", *c->at)) return false;
		if (*c->at++ == 'u')
			for (int i = 0; i < 4; i++)
				if (c->at >= c->end || !is_hex(*c->at++)) return false;
	}
	return false;
}

static bool skip_digits(struct cursor *c)
{
	const char *from = c->at;
	while (c->at < c->end && *c->at >= '0' && *c->at <= '9') c->at++;
	return c->at > from;
}

static bool skip_number(struct cursor *c)
{
	take(c, '-');
	if (!take(c, '0') && !skip_digits(c)) return false;
	if (take(c, '.') && !skip_digits(c)) return false;
	if (take(c, 'e') || take(c, 'E')) {
		if (!take(c, '+')) take(c, '-');
		return skip_digits(c);
	}
	return true;
}

static bool skip_word(struct cursor *c, const char *word)
{
	size_t length = strlen(word);
	if ((size_t)(c->end - c->at) < length || memcmp(c->at, word, length)) return false;
	c->at += length;
	return true;
}

static bool skip_value(struct cursor *c, int depth);

/* Members of an object or elements of an array; for an object, stops with found = true behind the colon of `key`. */
static bool skip_members(struct cursor *c, bool object, int depth, const char *key, bool *found)
{
	char close = object ? '}' : ']';
	c->at++;
	skip_space(c);
	if (take(c, close)) return true;
	for (;;) {
		skip_space(c);
		if (object) {
			const char *name = c->at + 1;
			if (!skip_string(c)) return false;
			size_t length = (size_t)(c->at - 1 - name);
			skip_space(c);
			if (!take(c, ':')) return false;
			if (key && strlen(key) == length && !memcmp(key, name, length)) return *found = true;
		}
		if (!skip_value(c, depth + 1)) return false;
		skip_space(c);
		if (take(c, close)) return true;
		if (!take(c, ',')) return false;
	}
}

static bool skip_value(struct cursor *c, int depth)
{
	skip_space(c);
	if (c->at >= c->end || depth > MAX_DEPTH) return false;
	switch (*c->at) {
	case '{': return skip_members(c, true, depth, NULL, NULL);
	case '[': return skip_members(c, false, depth, NULL, NULL);
	case '"': return skip_string(c);
	case 't': return skip_word(c, "true");
	case 'f': return skip_word(c, "false");
	case 'n': return skip_word(c, "null");
	default: return skip_number(c);
	}
}

bool json_is_object(const char *bytes, size_t length)
{
	struct cursor c = { bytes, bytes + length };
	skip_space(&c);
	if (c.at >= c.end || *c.at != '{' || !skip_value(&c, 0)) return false;
	skip_space(&c);
	return c.at == c.end;
}

bool json_find(const char *object, size_t length, const char *key, struct span *value)
{
	struct cursor c = { object, object + length };
	bool found = false;
	skip_space(&c);
	if (!skip_members(&c, true, 0, key, &found) || !found) return false;
	skip_space(&c);
	const char *from = c.at;
	if (!skip_value(&c, 1)) return false;
	*value = (struct span){ from, (size_t)(c.at - from) };
	return true;
}

char *json_find_string(const char *object, size_t length, const char *key)
{
	struct span raw;
	if (!json_find(object, length, key, &raw) || raw.at[0] != '"') return NULL;
	char *plain = malloc(raw.length), *to = plain;
	if (!plain) return NULL;
	for (const char *from = raw.at + 1; from < raw.at + raw.length - 1; from++) {
		if (*from != '\\') {
			*to++ = *from;
			continue;
		}
		from++;
		if (*from == 'u') {
			char digits[5] = { from[1], from[2], from[3], from[4], 0 };
			unsigned long code = strtoul(digits, NULL, 16);
			*to++ = code > 0 && code < 128 ? (char)code : '?';
			from += 4;
		} else {
			static const char names[] = "bfnrt", plains[] = "\b\f\n\r\t";
			const char *name = strchr(names, *from);
			*to++ = name ? plains[name - names] : *from;
		}
	}
	*to = 0;
	return plain;
}
