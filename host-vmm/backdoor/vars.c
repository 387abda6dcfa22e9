// SPDX-License-Identifier: GPL-2.0-or-later
// guestinfo variables: names and values that guest and host set for each other, within limits.
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host-vmm/backdoor/private.h"
#include "host-vmm/state.h"

#define PREFIX	   "guestinfo."
#define PREFIX_LEN (sizeof(PREFIX) - 1)

static int check_name(const char *name, size_t len)
{
	if (len <= PREFIX_LEN || len > TOOLS_VAR_NAME_MAX || memcmp(name, PREFIX, PREFIX_LEN) != 0)
		return -EINVAL;
	for (size_t i = 0; i < len; i++)
		if (name[i] <= ' ' || name[i] > '~')
			return -EINVAL;
	return 0;
}

/* Index of the first whose name is not before @name; *ret_found if it is it. */
static size_t search(const struct backdoor *backdoor, const char *name, size_t len, bool *ret_found)
{
	size_t low = 0, high = backdoor->n_vars;

	while (low < high) {
		size_t middle = (low + high) / 2;
		const char *other = backdoor->vars[middle].name;
		int order = strncmp(other, name, len);

		if (order == 0 && other[len] != '\0')
			order = 1;
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	*ret_found = low < backdoor->n_vars && strlen(backdoor->vars[low].name) == len &&
		     memcmp(backdoor->vars[low].name, name, len) == 0;
	return low;
}

const struct var *vars_find(const struct backdoor *backdoor, const char *name, size_t name_len)
{
	bool found;
	size_t at;

	if (check_name(name, name_len) < 0)
		return NULL;
	at = search(backdoor, name, name_len, &found);
	return found ? &backdoor->vars[at] : NULL;
}

static size_t bytes_of(const struct var *var)
{
	return strlen(var->name) + var->len;
}

static void remove_at(struct backdoor *backdoor, size_t at)
{
	backdoor->vars_bytes -= bytes_of(&backdoor->vars[at]);
	free(backdoor->vars[at].name);
	backdoor->n_vars--;
	memmove(&backdoor->vars[at], &backdoor->vars[at + 1],
		(backdoor->n_vars - at) * sizeof(backdoor->vars[0]));
}

/* Name and value in one piece. */
static int make(struct var *var, const char *name, size_t name_len, const void *value, size_t len)
{
	var->name = malloc(name_len + 1 + len + 1);
	if (!var->name)
		return -ENOMEM;
	memcpy(var->name, name, name_len);
	var->name[name_len] = '\0';
	var->value = var->name + name_len + 1;
	if (len > 0)
		memcpy(var->value, value, len);
	var->value[len] = '\0';
	var->len = len;
	return 0;
}

static int insert(struct backdoor *backdoor, size_t at, const struct var *var)
{
	struct var *grown = realloc(backdoor->vars, (backdoor->n_vars + 1) * sizeof(*grown));

	if (!grown)
		return -ENOMEM;
	backdoor->vars = grown;
	memmove(&grown[at + 1], &grown[at], (backdoor->n_vars - at) * sizeof(grown[0]));
	grown[at] = *var;
	backdoor->n_vars++;
	return 0;
}

static void tell(struct backdoor *backdoor, const char *name, size_t name_len, const char *by)
{
	struct fields_builder fields = FIELDS_BUILDER(512);

	fields_addf(&fields, "name", "%.*s", (int)name_len, name);
	fields_add(&fields, "by", by);
	deliver_event(backdoor, "var-changed", &fields);
}

static int put(struct backdoor *backdoor, const char *name, size_t name_len, const void *value,
	       size_t len)
{
	struct var made;
	bool found;
	size_t at = search(backdoor, name, name_len, &found);
	struct var *old = found ? &backdoor->vars[at] : NULL;
	size_t before = old ? bytes_of(old) : 0;
	int ret;

	if (!value) {
		if (!old)
			return -ENOENT;
		remove_at(backdoor, at);
		return 0;
	}
	if (len > TOOLS_VAR_VALUE_MAX)
		return -EMSGSIZE;
	if (backdoor->vars_bytes - before + name_len + len > TOOLS_VARS_BYTES ||
	    (!old && backdoor->n_vars == TOOLS_VARS_MAX))
		return -ENOSPC;
	ret = make(&made, name, name_len, value, len);
	if (ret == 0 && old) {
		free(old->name);
		*old = made;
	} else if (ret == 0) {
		ret = insert(backdoor, at, &made);
		if (ret < 0)
			free(made.name);
	}
	if (ret == 0)
		backdoor->vars_bytes += name_len + len - before;
	return ret;
}

int vars_set(struct backdoor *backdoor, const char *name, size_t name_len, const void *value,
	     size_t len, const char *by)
{
	int ret = check_name(name, name_len);

	if (ret == 0)
		ret = put(backdoor, name, name_len, value, len);
	if (ret == 0)
		tell(backdoor, name, name_len, by);
	return ret;
}

void vars_clear(struct backdoor *backdoor)
{
	while (backdoor->n_vars > 0)
		remove_at(backdoor, backdoor->n_vars - 1);
	free(backdoor->vars);
	backdoor->vars = NULL;
	backdoor->n_vars = 0;
}

int vars_save(const struct backdoor *backdoor, struct state *state)
{
	state_put_u32(state, (uint32_t)backdoor->n_vars);
	for (size_t i = 0; i < backdoor->n_vars; i++) {
		const struct var *var = &backdoor->vars[i];
		size_t name_len = strlen(var->name);

		state_put_u32(state, (uint32_t)name_len);
		state_put_u32(state, (uint32_t)var->len);
		state_put(state, var->name, name_len);
		state_put(state, var->value, var->len);
	}
	return state_error(state);
}

static int load_one(struct backdoor *backdoor, struct state *state)
{
	char name[TOOLS_VAR_NAME_MAX];
	size_t name_len = state_get_u32(state), len = state_get_u32(state);
	char *value;
	int ret;

	if (name_len > sizeof(name) || len > TOOLS_VAR_VALUE_MAX)
		return -EBADMSG;
	value = malloc(len + 1);
	if (!value)
		return -ENOMEM;
	state_get(state, name, name_len);
	state_get(state, value, len);
	ret = state_error(state);
	if (ret == 0)
		ret = check_name(name, name_len);
	if (ret == 0)
		ret = put(backdoor, name, name_len, value, len);
	free(value);
	return ret == 0 || ret == -ENOMEM ? ret : -EBADMSG;
}

int vars_load(struct backdoor *backdoor, struct state *state)
{
	uint32_t count = state_get_u32(state);
	int ret = state_error(state);

	if (count > TOOLS_VARS_MAX)
		return -EBADMSG;
	vars_clear(backdoor);
	for (uint32_t i = 0; i < count && ret == 0; i++)
		ret = load_one(backdoor, state);
	return ret;
}

/* ---- for the host's side ---- */

int tools_var_get(struct backdoor *backdoor, const char *name, char **ret_value, size_t *ret_len)
{
	const struct var *var;
	int ret = -ENOENT;

	backdoor_lock(backdoor);
	var = vars_find(backdoor, name, strlen(name));
	if (var) {
		char *copy = malloc(var->len + 1);

		ret = copy ? 0 : -ENOMEM;
		if (copy) {
			memcpy(copy, var->value, var->len + 1);
			*ret_value = copy;
			*ret_len = var->len;
		}
	}
	backdoor_unlock(backdoor);
	return ret;
}

int tools_var_set(struct backdoor *backdoor, const char *name, const void *value, size_t len)
{
	int ret;

	backdoor_lock(backdoor);
	ret = vars_set(backdoor, name, strlen(name), value, len, "host");
	backdoor_unlock(backdoor);
	return ret;
}

int tools_vars_list(struct backdoor *backdoor, struct tools_var **ret_vars, size_t *ret_count)
{
	struct tools_var *vars;
	size_t count = 0;
	int ret = 0;

	backdoor_lock(backdoor);
	vars = calloc(backdoor->n_vars + 1, sizeof(*vars));
	if (!vars)
		ret = -ENOMEM;
	for (; ret == 0 && count < backdoor->n_vars; count++) {
		const struct var *var = &backdoor->vars[count];
		struct var copy;

		ret = make(&copy, var->name, strlen(var->name), var->value, var->len);
		if (ret == 0)
			vars[count] = (struct tools_var){ copy.name, copy.value, copy.len };
	}
	backdoor_unlock(backdoor);
	if (ret < 0) {
		tools_vars_free(vars, count);
		return ret;
	}
	*ret_vars = vars;
	*ret_count = count;
	return 0;
}

void tools_vars_free(struct tools_var *vars, size_t count)
{
	for (size_t i = 0; vars && i < count; i++)
		free(vars[i].name); /* and its value */
	free(vars);
}
