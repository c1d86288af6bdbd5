/* A rule of the multicast relay: which stream comes in, and where copies of it go.
 *
 * Plain values, checked by rule_check before anything else sees them. Nothing here knows sockets;
 * interfaces are names, since an interface may come and go while the rule stays. */
#ifndef MCAST_RULE_H
#define MCAST_RULE_H

#include "common/base/limits.h"
#include "mcast/core/ip.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RULE_NAME_MAX 64
#define RULE_INTERFACE_MAX 16 /* with NUL, as IFNAMSIZ */
#define RULE_INPUTS_MAX 2

struct rule_input {
	char interface[RULE_INTERFACE_MAX];
	struct ip group;
	uint16_t port;
	struct ip source; /* IP_NONE: any (ASM); else only this one (SSM, RFC 4607) */
};

struct rule_output {
	struct ip address; /* a group, or a unicast address */
	uint16_t port;
	char interface[RULE_INTERFACE_MAX]; /* "" for unicast only: as the routes say */
	uint8_t ttl;			    /* 0: the default, RULE_TTL_DEFAULT */
	struct ip source; /* an address of this host; IP_NONE: the kernel's choice */
};

#define RULE_TTL_DEFAULT 16u

/* How copies of one packet that come by both inputs are known. */
enum rule_match { RULE_MATCH_NONE, RULE_MATCH_RTP, RULE_MATCH_CONTENT };

struct rule {
	char name[RULE_NAME_MAX]; /* unique; rule_name_default where the user gives none */
	struct rule_input inputs[RULE_INPUTS_MAX];
	size_t input_count;	     /* 1, or 2: the same stream by two ways, the first copy wins */
	enum rule_match match;	     /* NONE with one input, another with two */
	struct rule_output *outputs; /* owned */
	size_t output_count;	     /* 1 to RULE_OUTPUTS_MAX */
};

/* A deep copy: what `ret` had is not freed. rule_done frees what a rule owns and leaves it zeroed;
 * a zeroed rule and NULL are fine. */
void rule_copy(const struct rule *from, struct rule *ret);
void rule_done(struct rule *r);
bool rule_is_same(const struct rule *a, const struct rule *b);
bool rule_output_is_same(const struct rule_output *a, const struct rule_output *b);
bool rule_input_is_same(const struct rule_input *a, const struct rule_input *b);

/* What it is called without a name, by its first input: "239.1.1.1:5001@br0", with "10.0.0.9/"
 * before it for SSM; IPv6 in brackets, "[ff3e::1]:5001@br0". What is too long ends with a hash of
 * what was cut, "~" and 16 digits, so that different inputs keep different names. */
void rule_name_default(const struct rule *r, char ret_name[RULE_NAME_MAX]);

/* For hashed.h. The operators choose the names, so the key is no secret. */
uint64_t rule_name_hash(const char *name);

/* The name of a match, "none" "rtp" "content"; parse: 0 or -EINVAL. */
const char *rule_match_name(enum rule_match m);
int rule_match_parse(const char *text, enum rule_match *ret);

/* Alone, without other rules: 0, or -EINVAL with one line that names field, value and what was
 * expected ("outputs[2].port: 0, expected 1 to 65535"). Names are printable ASCII without spaces,
 * quotes and backslashes, those of interfaces also without '/' and ':', as the kernel has it; they
 * need not exist. An output that is one of its own inputs is a loop, and refused; so is the same
 * interface, address and port twice, whatever its ttl and source. */
int rule_check(const struct rule *r, char ret_why[WHY_BYTES_MAX]);

#endif
