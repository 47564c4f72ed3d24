/* Texts that people write: words in parts between ';', read one after the other; numbers, alike in any locale. */
#include "base/base.h"

#include <string.h>

static bool is_space(char c) {
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static bool ends_part(char c) {
    return !c || strchr(";{|}", c);
}

void cp_words_next(cp_words *words) {
    while (is_space(*words->next)) words->next++;
    words->position = words->next - words->text + 1;
    size_t n = 0;
    while (!ends_part(*words->next) && !is_space(*words->next)) {
        if (n + 1 < sizeof words->word) words->word[n++] = *words->next;
        words->next++;
    }
    words->word[n] = 0;
}

bool cp_words_are(const cp_words *words, const char *word) {
    return !strcmp(words->word, word);
}

cp_status cp_words_mistake(const cp_words *words, const char *expected) {
    char word[400];
    const char symbol[] = {*words->next, 0}, *wrong = words->word;
    if (!*wrong && *words->next != ';') wrong = symbol;
    return *wrong ? cp_fail(CP_E_ARG, "%s, position %lld: '%s' is not possible here; possible: %s", words->subject,
                            (long long)words->position, cp_escape(wrong, strlen(wrong), word), expected)
                  : cp_fail(CP_E_ARG, "%s, position %lld: something is missing; possible: %s", words->subject,
                            (long long)words->position, expected);
}

bool cp_read_number(const char **text, int64_t *number) {
    const char *t = *text;
    int64_t n = 0;
    if (*t < '0' || *t > '9') return false;
    while (*t >= '0' && *t <= '9' && n <= (int64_t)1 << 40) n = n * 10 + (*t++ - '0');
    *number = n;
    *text = t;
    return n <= (int64_t)1 << 40;
}

bool cp_read_real(const char **text, double *number) {
    const char *t = *text;
    const bool negative = *t == '-';
    double digits = 0;
    int64_t exponent = 0;
    int places = 0, count = 0;
    bool point = false;
    for (t += negative; (*t >= '0' && *t <= '9') || (*t == '.' && !point); t++) {
        point |= *t == '.';
        if (*t == '.') continue;
        digits = digits * 10 + (*t - '0');
        places += point;
        count++;
    }
    if (count == 0 || count > 15) return false;
    if (*t == 'e') {
        t++;
        const bool small = *t == '-';
        t += *t == '-' || *t == '+';
        if (!cp_read_number(&t, &exponent) || exponent > 60) return false;
        if (small) exponent = -exponent;
    }
    for (exponent -= places; exponent < 0; exponent++) digits /= 10;
    for (; exponent > 0; exponent--) digits *= 10;
    *number = negative ? -digits : digits;
    *text = t;
    return true;
}
