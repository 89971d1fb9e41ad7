/* SPDX-License-Identifier: Apache-2.0 */
#include "spec.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TEXT(field) { #field, offsetof(struct spec, field), 't' }
#define NUMBER(field) { #field, offsetof(struct spec, field), 'n' }
#define FLAG(field) { #field, offsetof(struct spec, field), 'f' }
#define LIST(key, field) { key, offsetof(struct spec, field), 'l' }

static const struct field {
	const char *key;
	size_t offset;
	char kind;
} fields[] = {
	TEXT(op), TEXT(cwd), TEXT(log), TEXT(net), TEXT(ipc), TEXT(uts), TEXT(pidns), TEXT(hostname), TEXT(root), TEXT(name),
	TEXT(address), TEXT(socket), TEXT(caps), NUMBER(uid), NUMBER(gid), NUMBER(pid), NUMBER(port), NUMBER(timeout),
	NUMBER(log_size), NUMBER(oom_score), FLAG(tty), FLAG(in), FLAG(tee), FLAG(privileged), FLAG(readonly),
	FLAG(no_new_privs), LIST("arg", args), LIST("env", env), LIST("group", groups), LIST("cgroup", cgroups),
	LIST("bind", binds), LIST("link", links), LIST("sysctl", sysctls), LIST("file", files), LIST("share", shares),
};

static const char *take(struct spec *spec, char *record)
{
	char *value = strchr(record, '=');

	if (!value)
		return "a record without '='";
	*value++ = 0;
	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
		if (strcmp(fields[i].key, record))
			continue;
		void *at = (char *)spec + fields[i].offset;
		switch (fields[i].kind) {
		case 't': *(char **)at = value; break;
		case 'n': *(long *)at = strtol(value, NULL, 10); break;
		case 'f': *(bool *)at = !strcmp(value, "1"); break;
		case 'l': {
			struct list *list = at;
			if (list->count == LIST_MAX)
				return "more than 512 records of one kind";
			list->items[list->count++] = value;
		}
		}
		return NULL;
	}
	return "an unknown record";
}

const char *spec_read(int fd, struct spec *spec)
{
	size_t used = 0;

	memset(spec, 0, sizeof(*spec));
	spec->buffer = malloc(SPEC_MAX);
	if (!spec->buffer)
		return "no memory";
	/* Nothing follows a request before its answer, so what is there may be read at once. */
	for (;;) {
		if (used == SPEC_MAX)
			return "a request longer than 1 MiB";
		ssize_t n = read(fd, spec->buffer + used, SPEC_MAX - used);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return "a request cut short";
		used += n;
		if (used == 1 ? spec->buffer[0] == 0 : !spec->buffer[used - 1] && !spec->buffer[used - 2])
			break;
	}
	for (char *record = spec->buffer; *record;) {
		char *next = record + strlen(record) + 1;
		const char *wrong = take(spec, record);
		if (wrong)
			return wrong;
		record = next;
	}
	return NULL;
}

void spec_parts(char *text, char **parts, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		parts[i] = text;
		char *end = strchr(text, 0x1f);
		if (end) {
			*end = 0;
			text = end + 1;
		} else {
			text += strlen(text);
		}
	}
}
