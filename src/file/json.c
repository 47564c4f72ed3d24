/* A small JSON reader (RFC 8259): bounded, without recursion. */
#include "file/file.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_DEPTH = 32, MAX_VALUES = 1000000, MAX_NUMBER = 128 /* characters */ };

typedef struct parser {
    const char *text;
    int64_t length, position;
    cp_json *json;
    int64_t capacity; /* of json->value */
    char *free;       /* the rest of json->texts */
} parser;

static cp_status wrong(const parser *p, const char *what) {
    return cp_fail(CP_E_FORMAT, "JSON: %s at byte %lld", what, (long long)p->position);
}

/* The next byte, or -1 at the end. */
static int peek(const parser *p) {
    return p->position < p->length ? (unsigned char)p->text[p->position] : -1;
}

static bool take(parser *p, char c) {
    if (peek(p) != c) return false;
    p->position++;
    return true;
}

static void skip_space(parser *p) {
    while (take(p, ' ') || take(p, '\n') || take(p, '\r') || take(p, '\t')) continue;
}

/* --- texts --- */

/* The bytes of the UTF-8 character that begins here (Unicode 15, table 3-7); 0 where there is none. */
static int utf8_length(const char *text, int64_t length) {
    const uint8_t *c = (const uint8_t *)text;
    if (c[0] < 0x80) return 1;
    const int n = c[0] >= 0xf0 ? 4 : c[0] >= 0xe0 ? 3 : 2;
    if (c[0] < 0xc2 || c[0] > 0xf4 || n > length) return 0;
    /* Overlong forms, surrogates and what is beyond U+10FFFF show in the second byte. */
    const int low = c[0] == 0xe0 ? 0xa0 : c[0] == 0xf0 ? 0x90 : 0x80;
    const int high = c[0] == 0xed ? 0x9f : c[0] == 0xf4 ? 0x8f : 0xbf;
    if (c[1] < low || c[1] > high) return 0;
    for (int i = 2; i < n; i++)
        if (c[i] < 0x80 || c[i] > 0xbf) return 0;
    return n;
}

static char *put_utf8(char *to, uint32_t code) {
    const int n = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    static const uint8_t lead[] = {0, 0, 0xc0, 0xe0, 0xf0};
    for (int i = n - 1; i > 0; i--, code >>= 6) to[i] = (char)(0x80 | (code & 0x3f));
    to[0] = (char)(lead[n] | code);
    return to + n;
}

/* The four hexadecimal digits behind \u. */
static bool take_hex4(parser *p, uint32_t *code) {
    *code = 0;
    for (int i = 0; i < 4; i++, p->position++) {
        const int c = peek(p);
        if (c >= '0' && c <= '9')
            *code = *code << 4 | (uint32_t)(c - '0');
        else if (c >= 'a' && c <= 'f')
            *code = *code << 4 | (uint32_t)(c - 'a' + 10);
        else if (c >= 'A' && c <= 'F')
            *code = *code << 4 | (uint32_t)(c - 'A' + 10);
        else
            return false;
    }
    return true;
}

static cp_status parse_unicode_escape(parser *p, char **to) {
    uint32_t code, low;
    if (!take_hex4(p, &code)) return wrong(p, "\\u without four hexadecimal digits");
    if (code >= 0xd800 && code < 0xdc00) {
        if (!take(p, '\\') || !take(p, 'u') || !take_hex4(p, &low) || low < 0xdc00 || low > 0xdfff)
            return wrong(p, "half a surrogate pair");
        code = 0x10000 + ((code - 0xd800) << 10 | (low - 0xdc00));
    } else if (code >= 0xdc00 && code < 0xe000) {
        return wrong(p, "half a surrogate pair");
    }
    if (code == 0) return wrong(p, "the character NUL in a text");
    *to = put_utf8(*to, code);
    return CP_OK;
}

static cp_status parse_escape(parser *p, char **to) {
    static const char escaped[] = "\"\\/bfnrt", meant[] = "\"\\/\b\f\n\r\t";
    const int c = peek(p);
    if (take(p, 'u')) return parse_unicode_escape(p, to);
    const char *known = c > 0 ? strchr(escaped, c) : NULL;
    if (!known) return wrong(p, "unknown escape");
    *(*to)++ = meant[known - escaped];
    p->position++;
    return CP_OK;
}

/* Unescaped and with its NUL a text needs no more room than it has with its quotes. */
static cp_status parse_text(parser *p, const char **text) {
    if (!take(p, '"')) return wrong(p, "\" expected");
    *text = p->free;
    while (!take(p, '"')) {
        const int c = peek(p);
        if (c < 0) return wrong(p, "text without an end");
        if (c < 0x20) return wrong(p, "control character in a text");
        if (take(p, '\\')) {
            const cp_status status = parse_escape(p, &p->free);
            if (status) return status;
            continue;
        }
        const int bytes = utf8_length(p->text + p->position, p->length - p->position);
        if (!bytes) return wrong(p, "invalid UTF-8");
        memcpy(p->free, p->text + p->position, (size_t)bytes);
        p->free += bytes;
        p->position += bytes;
    }
    *p->free++ = 0;
    return CP_OK;
}

/* --- numbers --- */

static int64_t skip_digits(parser *p) {
    const int64_t start = p->position;
    while (peek(p) >= '0' && peek(p) <= '9') p->position++;
    return p->position - start;
}

/* strtod expects the decimal point of the locale: it is given the digits without one, "314e-2" for 3.14. */
static double to_double(const char *number, int64_t fraction_digits) {
    char plain[MAX_NUMBER + 32];
    int length = 0;
    for (; *number && *number != 'e' && *number != 'E'; number++)
        if (*number != '.') plain[length++] = *number;
    long exponent = *number ? strtol(number + 1, NULL, 10) : 0;
    if (exponent > 100000) exponent = 100000; /* far beyond any double, and safe to subtract from */
    if (exponent < -100000) exponent = -100000;
    snprintf(plain + length, sizeof plain - (size_t)length, "e%ld", exponent - (long)fraction_digits);
    return strtod(plain, NULL);
}

static cp_status parse_number(parser *p, cp_json_value *value) {
    const int64_t start = p->position;
    int64_t fraction_digits = 0;
    take(p, '-');
    const bool zero = peek(p) == '0';
    const int64_t digits = skip_digits(p);
    if (!digits) return wrong(p, "value expected");
    if (zero && digits > 1) return wrong(p, "number with a leading zero");
    if (take(p, '.') && !(fraction_digits = skip_digits(p))) return wrong(p, "digit expected");
    if (take(p, 'e') || take(p, 'E')) {
        if (!take(p, '-')) take(p, '+');
        if (!skip_digits(p)) return wrong(p, "digit expected");
    }
    const int64_t length = p->position - start;
    if (length > MAX_NUMBER) return wrong(p, "number of more than 128 characters");
    memcpy(p->free, p->text + start, (size_t)length);
    p->free[length] = 0;
    value->kind = CP_JSON_NUMBER;
    value->text = p->free;
    value->number = to_double(p->free, fraction_digits);
    p->free += length + 1;
    return isfinite(value->number) ? CP_OK : wrong(p, "number that no double holds");
}

/* --- values --- */

static cp_status parse_word(parser *p, cp_json_value *value) {
    static const struct {
        const char *word;
        cp_json_kind kind;
        double number;
    } words[] = {{"null", CP_JSON_NULL, 0}, {"false", CP_JSON_BOOL, 0}, {"true", CP_JSON_BOOL, 1}};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        const int64_t length = (int64_t)strlen(words[i].word);
        if (length > p->length - p->position || memcmp(p->text + p->position, words[i].word, (size_t)length)) continue;
        p->position += length;
        value->kind = words[i].kind;
        value->number = words[i].number;
        return CP_OK;
    }
    return wrong(p, "value expected");
}

/* A value without children, or the opening of one with. */
static cp_status parse_value(parser *p, cp_json_value *value) {
    const int c = peek(p);
    if (take(p, '{')) {
        value->kind = CP_JSON_OBJECT;
        return CP_OK;
    }
    if (take(p, '[')) {
        value->kind = CP_JSON_ARRAY;
        return CP_OK;
    }
    if (c == '"') {
        value->kind = CP_JSON_STRING;
        return parse_text(p, &value->text);
    }
    if (c == '-' || (c >= '0' && c <= '9')) return parse_number(p, value);
    return parse_word(p, value);
}

/* "key": */
static cp_status parse_key(parser *p, const char **key) {
    skip_space(p);
    const cp_status status = parse_text(p, key);
    if (status) return status;
    skip_space(p);
    return take(p, ':') ? CP_OK : wrong(p, ": expected");
}

typedef struct level {
    int32_t container, last; /* the object or array, and its last child so far */
} level;

/* Adds a value, which is then the last one, to its parent. */
static cp_status add_value(parser *p, level *parent, const char *key) {
    cp_json *json = p->json;
    if (json->count > MAX_VALUES) return cp_fail(CP_E_LIMIT, "JSON: more than %d values", MAX_VALUES);
    const cp_status status = cp_grow(&json->value, &p->capacity, json->count, sizeof *json->value);
    if (status) return status;
    const int32_t index = (int32_t)json->count++;
    if (parent) {
        if (parent->last)
            json->value[parent->last].next = index;
        else
            json->value[parent->container].child = index;
        parent->last = index;
    }
    json->value[index] = (cp_json_value){.key = key};
    return CP_OK;
}

/* What stands between two values: closing brackets, then a comma; or the end, which leaves depth 0. opened: the value
 * before was an opening bracket, behind which there need be no comma. */
static cp_status parse_between(parser *p, const level *open, int *depth, bool opened) {
    for (; *depth > 0; opened = false) {
        const bool object = p->json->value[open[*depth - 1].container].kind == CP_JSON_OBJECT;
        skip_space(p);
        if (take(p, object ? '}' : ']'))
            (*depth)--;
        else if (opened || take(p, ','))
            return CP_OK;
        else
            return wrong(p, object ? ", or } expected" : ", or ] expected");
    }
    skip_space(p);
    return p->position == p->length ? CP_OK : wrong(p, "something behind the end");
}

static cp_status parse_document(parser *p) {
    level open[MAX_DEPTH];
    int depth = 0;
    cp_status status;
    do {
        level *parent = depth ? &open[depth - 1] : NULL;
        const char *key = NULL;
        if (parent && p->json->value[parent->container].kind == CP_JSON_OBJECT && (status = parse_key(p, &key)))
            return status;
        skip_space(p);
        if ((status = add_value(p, parent, key))) return status;
        cp_json_value *value = &p->json->value[p->json->count - 1];
        if ((status = parse_value(p, value))) return status;
        const bool opened = value->kind == CP_JSON_ARRAY || value->kind == CP_JSON_OBJECT;
        if (opened) {
            if (depth == MAX_DEPTH) return wrong(p, "nesting deeper than 32");
            open[depth++] = (level){.container = (int32_t)(value - p->json->value)};
        }
        if ((status = parse_between(p, open, &depth, opened))) return status;
    } while (depth > 0);
    return CP_OK;
}

typedef struct member {
    int32_t object;
    const char *key;
} member;

static int compare_members(const void *a, const void *b) {
    const member *x = a, *y = b;
    return x->object != y->object ? (x->object < y->object ? -1 : 1) : strcmp(x->key, y->key);
}

/* All keys sorted at once: an object with many of them must not take quadratic time. */
static cp_status check_keys(const cp_json *json) {
    member *members = cp_alloc(NULL, json->count * (int64_t)sizeof *members);
    if (!members) return CP_E_MEMORY;
    size_t n = 0;
    for (int32_t i = 1; i < json->count; i++)
        if (json->value[i].kind == CP_JSON_OBJECT)
            for (int32_t child = json->value[i].child; child; child = json->value[child].next)
                members[n++] = (member){.object = i, .key = json->value[child].key};
    qsort(members, n, sizeof *members, compare_members);
    cp_status status = CP_OK;
    for (size_t i = 1; i < n && !status; i++) {
        char text[400];
        if (!compare_members(&members[i - 1], &members[i]))
            status = cp_fail(CP_E_FORMAT, "JSON: duplicate name '%s'",
                             cp_escape(members[i].key, strlen(members[i].key), text));
    }
    cp_free(NULL, members);
    return status;
}

cp_status cp_json_parse(cp_json *json, const char *text, int64_t length) {
    parser p = {.text = text, .length = length, .json = json};
    *json = (cp_json){0};
    cp_status status = cp_grow(&json->value, &p.capacity, 0, sizeof *json->value);
    if (!status) {
        json->count = 1; /* value[0] is none */
        json->texts = p.free = cp_alloc(NULL, length + 1);
        status = p.free ? parse_document(&p) : CP_E_MEMORY;
    }
    if (!status) status = check_keys(json);
    if (status) cp_json_free(json);
    return status;
}

void cp_json_free(cp_json *json) {
    cp_free(NULL, json->value);
    cp_free(NULL, json->texts);
    *json = (cp_json){0};
}

/* --- looking things up --- */

static const cp_json_value *at(const cp_json *json, int32_t index) {
    return index ? &json->value[index] : NULL;
}

const cp_json_value *cp_json_member(const cp_json *json, const cp_json_value *object, const char *key) {
    if (!object || object->kind != CP_JSON_OBJECT) return NULL;
    const cp_json_value *found = at(json, object->child);
    while (found && strcmp(found->key, key)) found = at(json, found->next);
    return found;
}

const cp_json_value *cp_json_element(const cp_json *json, const cp_json_value *array, int64_t i) {
    if (!array || array->kind != CP_JSON_ARRAY || i < 0) return NULL;
    const cp_json_value *element = at(json, array->child);
    while (element && i-- > 0) element = at(json, element->next);
    return element;
}

bool cp_json_integer(const cp_json_value *value, int64_t *number) {
    if (!value || value->kind != CP_JSON_NUMBER) return false;
    const bool negative = value->text[0] == '-';
    *number = 0;
    for (const char *digit = value->text + negative; *digit; digit++) {
        if (*digit < '0' || *digit > '9') return false;
        const int64_t step = negative ? '0' - *digit : *digit - '0';
        if (!cp_mul(*number, 10, number) || !cp_sum(*number, step, number)) return false;
    }
    return true;
}
