/* Packing of weights into panels: rows of `width` floats, filled up with zeros. */

/* Rows that lie together in memory. */
static void pack_rows(const float *w, int64_t row_step, int64_t rows, int64_t columns, int64_t width, float *panel) {
    for (int64_t r = 0; r < rows; r++, w += row_step, panel += width)
        for (int64_t j = 0; j < width; j += CP_LANES) {
            int64_t left = columns - j;
            vec v = left >= CP_LANES ? vec_load(w + j) : left > 0 ? vec_load_part(w + j, vec_rest(left)) : (vec){0};
            *(vec *)(panel + j) = v;
        }
}

/* A square of a matrix whose columns lie together in memory: `rows` of each of `columns` columns, the rest zero. */
INLINE void pack_square(const float *w, int64_t column_step, int rows, int64_t columns, int64_t width, float *panel) {
    vec v[CP_LANES];
    UNROLL for (int j = 0; j < CP_LANES; j++) v[j] = j < columns ? vec_load_some(w + j * column_step, rows) : (vec){0};
    vec_transpose(v);
    UNROLL for (int i = 0; i < CP_LANES; i++) if (i < rows) * (vec *)(panel + i * width) = v[i];
}

static void pack_columns(const float *w, int64_t column_step, int64_t rows, int64_t columns, int64_t width,
                         float *panel) {
    for (int64_t j = 0; j < width; j += CP_LANES) {
        const float *from = w + j * column_step;
        int64_t r = 0;
        for (; r + CP_LANES <= rows; r += CP_LANES)
            pack_square(from + r, column_step, CP_LANES, columns - j, width, panel + r * width + j);
        if (r < rows) pack_square(from + r, column_step, vec_rest(rows - r), columns - j, width, panel + r * width + j);
    }
}

static void pack(const float *w, int64_t row_step, int64_t column_step, int64_t rows, int64_t columns, int64_t width,
                 float *panel) {
    if (column_step == 1)
        pack_rows(w, row_step, rows, columns, width, panel);
    else if (row_step == 1)
        pack_columns(w, column_step, rows, columns, width, panel);
    else
        for (int64_t r = 0; r < rows; r++)
            for (int64_t j = 0; j < width; j++)
                panel[r * width + j] = j < columns ? w[r * row_step + j * column_step] : 0;
}
