/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
#include "http.h"

handler answer_deathstar, answer_json, answer_echo, answer_page, answer_netexec, answer_hostname;
size_t answer_datagram(const char *said, size_t length, const char *client, char *out, size_t size);
size_t answer_hostname_datagram(const char *said, size_t length, const char *client, char *out, size_t size);
