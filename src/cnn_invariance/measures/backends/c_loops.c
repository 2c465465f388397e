/* The running statistics of one tile, one pass over it each.
 *
 * A tile is the activations of one layer for b samples under M transformations, float32, (M, b, U) with the U
 * units contiguous; for feature maps the units are (position, channel), channels last. Every function walks the
 * units in blocks that stay in the first-level cache and is parallel over blocks. Compiled without fast-math:
 * NaN and infinity in an activation reach the result.
 *
 * Built at run time by c_loops.py, linked against nothing: OpenMP calls resolve to the OpenMP that torch has
 * loaded, so both share one pool of threads.
 */

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define LANES 16  /* floats in a 512-bit register */
#define BLOCK 64  /* units in a block: one row of it is 256 bytes */
#define ROWS 8    /* samples whose sums are kept at once */
#define MEMBERS 16 /* transformations between merges */

#define INLINE static inline __attribute__((always_inline))

/* Whole cache lines: a vector that straddles two is several times slower to store and load again. */
static void *scratch(size_t floats)
{
    void *room = aligned_alloc(64, (floats * sizeof(float) + 63) / 64 * 64);
    if (room) memset(room, 0, floats * sizeof(float));
    return room;
}

INLINE int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }

/* ---- moments: along transformations (rows) and along samples (columns) ---- */

/* One block of w units, at most ROWS samples. Rows: sums over MEMBERS transformations at a time, shifted by the
 * first of them, merged into (mean, m2) of the row by Chan's formula; the row's mean is relative to its first value.
 * Columns: sums shifted by the tile's first sample, merged likewise into the running (mean, m2); that mean is in
 * double precision. So an offset costs no digits, and an outlier that a sum is shifted by at most a few. */
INLINE void moments_block(const float *restrict y, int64_t M, int64_t rows, int64_t sj, int64_t si, int64_t w,
                          int64_t seen, double *restrict mean, float *restrict m2, int64_t state_stride,
                          double *restrict sum_std, double *restrict sum_var)
{
    float s1[ROWS][BLOCK], s2[ROWS][BLOCK], row_mean[ROWS][BLOCK], row_m2[ROWS][BLOCK];
    const int along_rows = sum_std || sum_var;
    for (int64_t i = 0; along_rows && i < rows; i++)
        for (int64_t u = 0; u < w; u++) s1[i][u] = s2[i][u] = row_mean[i][u] = row_m2[i][u] = 0.0f;

    const float inverse = 1.0f / (float)rows;
    const double weight = (double)rows / (double)(seen + rows);
    const float cross = (float)((double)seen * (double)rows / (double)(seen + rows));
    for (int64_t j = 0; j < M; j++) {
        const int64_t group = j / MEMBERS * MEMBERS;
        const float *first = y + j * sj, *shifts = y + group * sj;
        float c1[BLOCK], c2[BLOCK];
        for (int64_t u = 0; u < w; u++) c1[u] = c2[u] = 0.0f;
        for (int64_t i = 0; i < rows; i++) {
            const float *value = first + i * si, *shift = shifts + i * si;
            if (along_rows)
                for (int64_t u = 0; u < w; u++) {
                    const float d = value[u] - shift[u];
                    s1[i][u] += d;
                    s2[i][u] += d * d;
                }
            if (mean)
                for (int64_t u = 0; u < w; u++) {
                    const float d = value[u] - first[u];
                    c1[u] += d;
                    c2[u] += d * d;
                }
        }
        if (along_rows && (j + 1 == M || j + 1 == group + MEMBERS)) {
            const float n = (float)(j + 1 - group), before = (float)group;
            const float part = n / (before + n), across = before * n / (before + n);
            for (int64_t i = 0; i < rows; i++) {
                const float *shift = shifts + i * si, *zero = y + i * si;
                for (int64_t u = 0; u < w; u++) {
                    const float centre = s1[i][u] / n, delta = (shift[u] - zero[u]) + centre - row_mean[i][u];
                    row_mean[i][u] += delta * part;
                    row_m2[i][u] += (s2[i][u] - s1[i][u] * centre) + delta * delta * across;
                    s1[i][u] = s2[i][u] = 0.0f;
                }
            }
        }
        if (!mean) continue;
        double *m = mean + j * state_stride;
        float *q = m2 + j * state_stride;
        if (seen == 0)
            for (int64_t u = 0; u < w; u++) {
                m[u] = (double)first[u] + (double)(c1[u] * inverse);
                q[u] = c2[u] - c1[u] * c1[u] * inverse;
            }
        else
            for (int64_t u = 0; u < w; u++) {
                const double delta = ((double)first[u] - m[u]) + (double)(c1[u] * inverse);
                const float step = (float)delta;
                m[u] += delta * weight;
                q[u] += (c2[u] - c1[u] * c1[u] * inverse) + step * step * cross;
            }
    }
    if (!along_rows) return;
    const float over = M > 1 ? 1.0f / (float)(M - 1) : 0.0f;
    float std[BLOCK], var[BLOCK];
    for (int64_t u = 0; u < w; u++) std[u] = var[u] = 0.0f;
    for (int64_t i = 0; i < rows; i++)
        for (int64_t u = 0; u < w; u++) {
            const float v = row_m2[i][u] * over, positive = v < 0.0f ? 0.0f : v; /* keeps NaN */
            var[u] += positive;
            std[u] += sqrtf(positive);
        }
    for (int64_t u = 0; sum_std && u < w; u++) sum_std[u] += (double)std[u];
    for (int64_t u = 0; sum_var && u < w; u++) sum_var[u] += (double)var[u];
}

/* mean, m2: (M, U), or NULL when no measure looks along samples; sum_std, sum_var: (U) or NULL. */
void grid_moments(const float *y, int64_t M, int64_t b, int64_t U, int64_t seen, double *mean, float *m2,
                  double *sum_std, double *sum_var)
{
#pragma omp parallel for schedule(static)
    for (int64_t u0 = 0; u0 < U; u0 += BLOCK) {
        const int64_t w = least(BLOCK, U - u0);
        for (int64_t i0 = 0; i0 < b; i0 += ROWS) {
            const int64_t rows = least(ROWS, b - i0);
            const float *block = y + i0 * U + u0;
            double *m = mean ? mean + u0 : NULL;
            float *q = mean ? m2 + u0 : NULL;
            double *std = sum_std ? sum_std + u0 : NULL, *var = sum_var ? sum_var + u0 : NULL;
            if (w == BLOCK)
                moments_block(block, M, rows, b * U, U, BLOCK, seen + i0, m, q, U, std, var);
            else
                moments_block(block, M, rows, b * U, U, w, seen + i0, m, q, U, std, var);
        }
    }
}

/* ---- what the moments along samples come to ---- */

#define WIDE 512 /* units in a block: few long rows instead of many short ones */

/* sum: (U) over columns of m2, the sum of squared deviations, or of its root. */
void sum_of_columns(const float *m2, int64_t M, int64_t U, int root, double *sum)
{
#pragma omp parallel for schedule(static)
    for (int64_t u0 = 0; u0 < U; u0 += WIDE) {
        const int64_t w = least(WIDE, U - u0);
        double total[WIDE] = {0};
        for (int64_t j = 0; j < M; j++) {
            const float *column = m2 + j * U + u0;
            for (int64_t u = 0; u < w; u++) {
                const float value = column[u], positive = value < 0.0f ? 0.0f : value; /* keeps NaN */
                total[u] += (double)(root ? sqrtf(positive) : positive);
            }
        }
        memcpy(sum + u0, total, (size_t)w * sizeof(double));
    }
}

/* between: (U) sum over columns of the squared distance of their mean from the mean of all. */
void between_columns(const double *mean, int64_t M, int64_t U, double *between)
{
#pragma omp parallel for schedule(static)
    for (int64_t u0 = 0; u0 < U; u0 += WIDE) {
        const int64_t w = least(WIDE, U - u0);
        double grand[WIDE] = {0}, total[WIDE] = {0};
        for (int64_t j = 0; j < M; j++)
            for (int64_t u = 0; u < w; u++) grand[u] += mean[j * U + u0 + u];
        for (int64_t u = 0; u < w; u++) grand[u] /= (double)M;
        for (int64_t j = 0; j < M; j++)
            for (int64_t u = 0; u < w; u++) {
                const double d = mean[j * U + u0 + u] - grand[u];
                total[u] += d * d;
            }
        memcpy(between + u0, total, (size_t)w * sizeof(double));
    }
}

/* ---- exceedances: how often an activation is above its threshold ---- */

INLINE void exceedances_block(const float *y, int64_t M, int64_t b, int64_t sj, int64_t si, int64_t w,
                              int64_t reference, float sign, const float *threshold, int32_t *local,
                              int32_t *global, float *broken)
{
    int32_t count[BLOCK], plain[BLOCK];
    float check[BLOCK];
    for (int64_t u = 0; u < w; u++) count[u] = plain[u] = 0, check[u] = 0.0f;
    for (int64_t j = 0; j < M; j++)
        for (int64_t i = 0; i < b; i++) {
            const float *value = y + j * sj + i * si;
            for (int64_t u = 0; u < w; u++) {
                count[u] += sign * value[u] > threshold[u];
                check[u] += 0.0f * value[u]; /* NaN or infinity somewhere: NaN here */
            }
        }
    for (int64_t i = 0; i < b; i++) {
        const float *value = y + reference * sj + i * si;
        for (int64_t u = 0; u < w; u++) plain[u] += sign * value[u] > threshold[u];
    }
    for (int64_t u = 0; u < w; u++) local[u] += count[u];
    for (int64_t u = 0; u < w; u++) global[u] += plain[u];
    for (int64_t u = 0; u < w; u++) broken[u] += check[u];
}

/* threshold: (A, U) for A pairs of level and sign; local, global: (A, U) counts over all pairs of sample and
 * transformation, and over the untransformed samples (column `reference`). broken: (U), NaN where an activation was
 * not finite. */
void exceedances(const float *y, int64_t M, int64_t b, int64_t U, int64_t reference, int64_t A, const float *sign,
                 const float *threshold, int32_t *local, int32_t *global, float *broken)
{
#pragma omp parallel for schedule(static)
    for (int64_t u0 = 0; u0 < U; u0 += BLOCK) {
        const int64_t w = least(BLOCK, U - u0);
        for (int64_t a = 0; a < A; a++) {
            const int64_t at = a * U + u0;
            if (w == BLOCK)
                exceedances_block(y + u0, M, b, b * U, U, BLOCK, reference, sign[a], threshold + at, local + at,
                                  global + at, broken + u0);
            else
                exceedances_block(y + u0, M, b, b * U, U, w, reference, sign[a], threshold + at, local + at,
                                  global + at, broken + u0);
        }
    }
}

/* ---- distances between activations ---- */

#define USUAL 8  /* samples in a block, as the engine has it */
#define FEW 64   /* values up to which all pairs are faster than sorting */

typedef float lanes __attribute__((vector_size(LANES * 4), aligned(4)));
typedef int32_t bits __attribute__((vector_size(LANES * 4), aligned(4)));

INLINE lanes absolute(lanes x) { return (lanes)((bits)x & 0x7fffffff); }

INLINE void add_lanes(lanes from, int64_t w, double *sum)
{
    for (int64_t u = 0; u < w; u++) sum[u] += (double)from[u];
}

/* Sum over pairs of |a - b| of n values, value k at v[k * stride], pair by pair; four sums hide the latency. */
INLINE lanes pair_distances(const lanes *v, int64_t n, int64_t stride)
{
    lanes s0 = {0}, s1 = {0}, s2 = {0}, s3 = {0};
    for (int64_t i = 1; i < n; i++) {
        const lanes value = v[i * stride];
        int64_t k = 0;
        for (; k + 4 <= i; k += 4) {
            s0 += absolute(value - v[k * stride]);
            s1 += absolute(value - v[(k + 1) * stride]);
            s2 += absolute(value - v[(k + 2) * stride]);
            s3 += absolute(value - v[(k + 3) * stride]);
        }
        for (; k < i; k++) s0 += absolute(value - v[k * stride]);
    }
    return (s0 + s1) + (s2 + s3);
}

/* The same for many values, by sorting: sum_k (2 k - n + 1) y_(k). `network` holds the comparators of a sorting
 * network, so that LANES units are sorted at once without a branch. */
INLINE lanes sorted_distances(const lanes *v, int64_t n, int64_t stride, const int32_t *network, int64_t comparators,
                              lanes *restrict sorted)
{
    lanes check = {0}, total = {0};
    for (int64_t j = 0; j < n; j++) check += sorted[j] = v[j * stride] - v[0];
    for (int64_t c = 0; c < comparators; c++) {
        const int32_t low = network[2 * c], high = network[2 * c + 1];
        const lanes p = sorted[low], q = sorted[high];
        const bits less = p < q;
        sorted[low] = (lanes)(((bits)p & less) | ((bits)q & ~less));
        sorted[high] = (lanes)(((bits)q & less) | ((bits)p & ~less));
    }
    for (int64_t j = 0; j < n; j++) total += (float)(2 * j - n + 1) * sorted[j];
    return total + 0.0f * check; /* NaN or infinity somewhere: NaN here */
}

INLINE lanes distances(const lanes *v, int64_t n, int64_t stride, const int32_t *network, int64_t comparators,
                       lanes *restrict sorted)
{
    if (n == 1) return v[0] - v[0]; /* no pairs: 0, and NaN if the value is not finite, so that it is counted */
    return n <= FEW ? pair_distances(v, n, stride) : sorted_distances(v, n, stride, network, comparators, sorted);
}

/* The same of a block of the usual number of neighbours: loops of a known length unroll, and the values stay in
 * registers. within: of these pairs, those in the same half. */
INLINE lanes usual_distances(const lanes *v, lanes *within)
{
    lanes total = {0}, inside = {0};
#pragma GCC unroll 8
    for (int i = 1; i < USUAL; i++) {
        lanes across = {0}, own = {0};
#pragma GCC unroll 8
        for (int k = 0; k < i; k++) {
            if ((i < USUAL / 2) == (k < USUAL / 2)) own += absolute(v[i] - v[k]);
            else across += absolute(v[i] - v[k]);
        }
        total += own + across;
        inside += own;
    }
    *within = inside;
    return total;
}

/* Of a block of n neighbours, at most `block` of them; `network` sorts a whole block. */
INLINE void block_distances(const lanes *v, int64_t n, int64_t block, const int32_t *network, int64_t comparators,
                            lanes *restrict sorted, int64_t w, double *sum, double *within)
{
    const int64_t half = least(block / 2, n);
    lanes total, own;
    if (n == USUAL && block == USUAL) {
        total = usual_distances(v, &own);
    } else {
        total = n == block || n == 1 ? distances(v, n, 1, network, comparators, sorted) : pair_distances(v, n, 1);
        if (within) own = pair_distances(v, half, 1) + pair_distances(v + half, n - half, 1);
    }
    add_lanes(total, w, sum);
    if (within) add_lanes(own, w, within);
}

/* rows: (U) sums over samples of the sum over pairs; columns: (blocks, U), of each block over transformations; halves:
 * (blocks, U), of them the pairs in one half of the block; or NULL. Returns 0, or -1 when there is no memory. */
int activation_distances(const float *y, int64_t M, int64_t b, int64_t U, int64_t block, const int32_t *network,
                         int64_t comparators, const int32_t *block_network, int64_t block_comparators, double *rows,
                         double *columns, double *halves)
{
    int failed = 0;
#pragma omp parallel
    {
        lanes *packed = scratch((size_t)(M * b + (M > block ? M : block)) * LANES), *sorted = packed + M * b;
        if (!packed) failed = 1;
#pragma omp for schedule(static)
        for (int64_t u0 = 0; u0 < U; u0 += LANES) {
            if (!packed) continue;
            const int64_t w = least(LANES, U - u0);
            for (int64_t k = 0; k < M * b; k++) memcpy(packed + k, y + k * U + u0, (size_t)w * sizeof(float));
            for (int64_t i = 0; rows && i < b; i++)
                add_lanes(distances(packed + i, M, b, network, comparators, sorted), w, rows + u0);
            for (int64_t j = 0; columns && j < M; j++)
                for (int64_t i = 0; i < b; i += block) {
                    const int64_t at = i / block * U + u0;
                    block_distances(packed + j * b + i, least(block, b - i), block, block_network, block_comparators,
                                    sorted, w, columns + at, halves ? halves + at : NULL);
                }
        }
        free(packed);
    }
    return -failed;
}

/* ---- distances between feature maps ---- */

#ifdef __AVX512F__
#define GROUP 4 /* maps a side of a group of pairs: 16 sums stay in the 32 registers */
#else
#define GROUP 2 /* LANES floats are two registers or more here, of 16 */
#endif
#define PACKED 512 /* vectors packed at once: 32 KB, within the first-level cache, or nearly */
#define FEWEST 16   /* of a map: with fewer, adding to the sums in memory costs more than the differences do */
#define MANY 32    /* of each of so many maps that fewer than FEWEST would be packed; in the second-level cache then */

#define PANEL 4    /* neighbouring vectors of a position that are packed together: whole pages are read once */

typedef double doubles __attribute__((vector_size(LANES * 8), aligned(8)));

/* The first w lanes, and zeros. */
INLINE lanes first_of(lanes x, int64_t w)
{
    const bits place = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    return (lanes)((bits)x & (place < (int32_t)w));
}

/* How feature maps are cut into vectors. Of few channels, a vector holds several positions side by side: `fold` of
 * them, whose squares are added in the end. Otherwise a position has `blocks` vectors, the last of `last` channels. */
typedef struct {
    int64_t positions, C, fold, vectors, blocks, last;
} cut;

/* Some of the C channels: at most PANEL vectors of a position. */
static cut cut_of(int64_t positions, int64_t C, int64_t channels)
{
    const int64_t fold = C < LANES && LANES % C == 0 ? LANES / C : 1, blocks = (channels + LANES - 1) / LANES;
    return (cut){positions, C, fold, (positions + fold - 1) / fold, blocks, channels - (blocks - 1) * LANES};
}

/* The floats in vector v of block d. */
INLINE int64_t width_of(const cut *form, int64_t v, int64_t d)
{
    if (form->fold > 1) return least(LANES, (form->positions - v * form->fold) * form->C);
    return d == form->blocks - 1 ? form->last : LANES;
}

/* That vector of a map, with zeros in the lanes beyond its width. Whole vectors are read where they end before `end`. */
INLINE lanes vector_of(const cut *form, const float *map, int64_t v, int64_t d, const float *end)
{
    const float *from = map + v * form->fold * form->C + d * LANES;
    const int64_t w = width_of(form, v, d);
    lanes value = {0};
    if (w == LANES) return *(const lanes *)from;
    if (from + LANES <= end) return first_of(*(const lanes *)from, w);
    for (int64_t u = 0; u < w; u++) value[u] = from[u];
    return value;
}

/* The vectors of each of n maps that are packed at once. */
static int64_t chunk_of(int64_t n)
{
    const int64_t padded = (n + GROUP - 1) / GROUP * GROUP;
    return padded * FEWEST <= PACKED ? PACKED / padded : MANY;
}

INLINE lanes swapped(lanes x, int distance)
{
    lanes result;
    for (int u = 0; u < LANES; u++) result[u] = x[u ^ distance];
    return result;
}

/* Of each channel, the sum over the positions that lie side by side in a vector. */
INLINE lanes folded(lanes sum, int64_t fold)
{
    if (fold > 1) sum += swapped(sum, 8);
    if (fold > 2) sum += swapped(sum, 4);
    if (fold > 4) sum += swapped(sum, 2);
    if (fold > 8) sum += swapped(sum, 1);
    return sum;
}

INLINE lanes roots(lanes squares)
{
    lanes result;
    for (int u = 0; u < LANES; u++) result[u] = sqrtf(squares[u]);
    return result;
}

/* Map k is in group k / GROUP; its vector v stands at [v * GROUP + k % GROUP] of the group. `own`: the group with itself. */
INLINE void products(const lanes *left, const lanes *right, int64_t vectors, lanes *sums, int64_t n, int height, int own)
{
    lanes total[4][GROUP] = {0};
    for (int64_t v = 0; v < vectors; v++)
#pragma GCC unroll 4
        for (int p = 0; p < height; p++)
#pragma GCC unroll 4
            for (int q = 0; q < GROUP; q++) {
                if (own && q >= p) continue; /* known when the loops are unrolled */
                const lanes d = left[v * GROUP + p] - right[v * GROUP + q];
                total[p][q] += d * d;
            }
    for (int p = 0; p < height; p++)
        for (int q = 0; q < GROUP; q++)
            if (!own || q < p) sums[p * n + q] += total[p][q];
}

/* sums[p, q] += sum over vectors of (a_p - a_q)^2, for the maps p of a group of `height` and q of a full group, or, of
 * the group with itself, q before p. A group of known height stays in registers. */
static void pair_group(const lanes *left, const lanes *right, int64_t vectors, lanes *sums, int64_t n, int64_t height)
{
    switch (height + (left == right ? 8 : 0)) {
    case 1: products(left, right, vectors, sums, n, 1, 0); break;
    case 2: products(left, right, vectors, sums, n, 2, 0); break;
    case 10: products(left, left, vectors, sums, n, 2, 1); break;
#if GROUP > 2
    case 3: products(left, right, vectors, sums, n, 3, 0); break;
    case 4: products(left, right, vectors, sums, n, 4, 0); break;
    case 11: products(left, left, vectors, sums, n, 3, 1); break;
    case 12: products(left, left, vectors, sums, n, 4, 1); break;
#endif
    }
}

/* 1 / the norm of each of n maps, in every lane of its channel; 0 for a zero map, which stays zero. */
static void inverse_norms(const float *y, int64_t n, int64_t stride, const cut *form, const lanes *pivot, lanes *norms,
                          const float *end)
{
    for (int64_t k = 0; k < n; k++) {
        lanes sum[PANEL] = {0};
        for (int64_t v = 0; v < form->vectors; v++)
            for (int64_t d = 0; d < form->blocks; d++) {
                const lanes value = vector_of(form, y + k * stride, v, d, end) + pivot[d];
                sum[d] += first_of(value * value, width_of(form, v, d));
            }
        for (int64_t d = 0; d < form->blocks; d++) {
            const lanes square = folded(sum[d], form->fold);
            for (int u = 0; u < LANES; u++) norms[d * n + k][u] = square[u] == 0.0f ? 0.0f : 1.0f / sqrtf(square[u]);
        }
    }
}

/* Squared distances between n maps, map k at y + k * stride: of block d of channels and of maps p and q before p at
 * sums[(d * n + p) * n + q]; of one map alone its place has 0, or NaN where the map is not finite. With `normalize` the
 * pivot is added back and each map is scaled to unit norm. With `only` >= 0 just the pairs of that map. packed: `room`
 * vectors for each block; norms: n for each; end: of the memory that y is in. */
static void pair_squares(const float *y, int64_t n, int64_t stride, const cut *form, int normalize, const float *pivot,
                         int64_t only, lanes *packed, int64_t room, lanes *norms, lanes *sums, const float *end)
{
    const int64_t chunk = chunk_of(n);
    lanes offset[PANEL] = {0};
    if (normalize) {
        for (int64_t d = 0; d < form->blocks; d++)
            for (int64_t u = 0; u < width_of(form, 0, d); u++) offset[d][u] = pivot[(d * LANES + u) % form->C];
        inverse_norms(y, n, stride, form, offset, norms, end);
    }
    memset(sums, 0, (size_t)(form->blocks * n * n) * sizeof(lanes));
    for (int64_t v0 = 0; v0 < form->vectors; v0 += chunk) {
        const int64_t rest = least(chunk, form->vectors - v0);
        for (int64_t k = 0; k < n; k++) {
            /* the same places of the next map, or, after the last, the next places of the first */
            const float *next = y + (k + 1 < n ? (k + 1) * stride + v0 * form->fold * form->C
                                               : (v0 + chunk) * form->fold * form->C);
            for (int64_t v = 0; v < rest; v++)
                for (int64_t d = 0; d < form->blocks; d++) {
                    __builtin_prefetch(next + v * form->fold * form->C + d * LANES);
                    lanes value = vector_of(form, y + k * stride, v0 + v, d, end);
                    if (normalize)
                        value = first_of((value + offset[d]) * norms[d * n + k], width_of(form, v0 + v, d));
                    if (n == 1) sums[d] += value - value;
                    packed[d * room + (k / GROUP * chunk + v) * GROUP + k % GROUP] = value;
                }
        }
        for (int64_t d = 0; d < form->blocks; d++)
            for (int64_t p = 0; p < n; p += GROUP)
                for (int64_t q = 0; q <= p; q += GROUP)
                    if (only < 0 || p / GROUP == only / GROUP || q / GROUP == only / GROUP)
                        pair_group(packed + d * room + p * chunk, packed + d * room + q * chunk, rest,
                                   sums + (d * n + p) * n + q, n, least(GROUP, n - p));
    }
}

INLINE doubles distance(lanes squares, int64_t fold)
{
    return __builtin_convertvector(roots(folded(squares, fold)), doubles);
}

/* The sum of the distances of the maps from `first` to before `last` to those before them, from `start` to before `stop`. */
INLINE doubles distances_between(const lanes *sums, int64_t n, int64_t fold, int64_t first, int64_t last, int64_t start,
                                 int64_t stop)
{
    doubles total = {0};
    for (int64_t p = first; p < last; p++)
        for (int64_t q = start; q < least(p, stop); q++) total += distance(sums[p * n + q], fold);
    return total;
}

/* The same of one map with all others; of one map alone, with itself. */
INLINE doubles distances_to(const lanes *sums, int64_t n, int64_t fold, int64_t reference)
{
    doubles total = {0};
    for (int64_t k = 0; k < n; k++) {
        const int64_t p = k > reference ? k : reference, q = k > reference ? reference : k;
        if (k != reference || n == 1) total += distance(sums[p * n + q], fold);
    }
    return total;
}

INLINE void add_doubles(doubles from, int64_t w, double *sum)
{
    for (int64_t u = 0; u < w; u++) sum[u] += from[u];
}

/* y: (M, b, positions, C), and one column more if reference is M. rows: (C), sums over samples of the sum over pairs of
 * transformations; columns, halves: (blocks, C), of each block the sum over transformations and pairs of samples, and of
 * them the pairs in one half of the block; simple: (C), over samples and transformations of the distance to column
 * `reference`; or NULL. pivot: (C), what was taken from the values. Returns 0, or -1 when there is no memory. */
int map_distances(const float *y, int64_t M, int64_t b, int64_t positions, int64_t C, int64_t block, int64_t reference,
                  int normalize, const float *pivot, double *rows, double *columns, double *halves, double *simple)
{
    const int64_t all = reference < M ? M : M + 1; /* the untransformed samples may be a column of their own */
    const int64_t most = all > block ? all : block, many = chunk_of(most) * (most + GROUP);
    const int64_t room = many > PACKED ? many : PACKED, panel = (many > PACKED + GROUP * MANY ? 1 : PANEL) * LANES;
    const int64_t blocks = (b + block - 1) / block, half = block / 2, panels = (C + panel - 1) / panel;
    const int64_t sj = b * positions * C, si = positions * C;
    const float *end = y + all * sj;
    int failed = 0;
#pragma omp parallel
    {
        lanes *packed = scratch((size_t)panel * (size_t)(room + most + most * most));
        lanes *norms = packed + panel / LANES * room, *sums = norms + panel / LANES * most;
        double *mine = calloc(2 * (size_t)((1 + blocks) * C), sizeof(double)); /* rows, simple, columns, halves */
        double *own_columns = mine + 2 * C, *own_halves = own_columns + blocks * C;
        if (!packed || !mine) failed = 1;
#pragma omp for schedule(static)
        for (int64_t task = 0; task < b * panels; task++) {
            if (!packed || !mine || (!rows && !simple)) continue;
            const int64_t i = task / panels, c0 = task % panels * panel;
            const cut form = cut_of(positions, C, least(panel, C - c0));
            pair_squares(y + i * si + c0, all, sj, &form, normalize, pivot + c0, rows ? -1 : reference, packed, room, norms,
                         sums, end);
            for (int64_t d = 0, c = c0; d < form.blocks; d++, c += LANES) {
                const lanes *own = sums + d * all * all;
                if (rows) add_doubles(distances_between(own, all, form.fold, 0, M, 0, M), least(LANES, C - c), mine + c);
                if (simple) add_doubles(distances_to(own, all, form.fold, reference), least(LANES, C - c), mine + C + c);
            }
        }
#pragma omp for schedule(static)
        for (int64_t task = 0; task < M * panels; task++) {
            if (!packed || !mine || !columns) continue;
            const int64_t j = task / panels, c0 = task % panels * panel;
            const cut form = cut_of(positions, C, least(panel, C - c0));
            for (int64_t i0 = 0; i0 < b; i0 += block) {
                const int64_t size = least(block, b - i0), middle = least(half, size);
                pair_squares(y + j * sj + i0 * si + c0, size, si, &form, normalize, pivot + c0, -1, packed, room, norms,
                             sums, end);
                for (int64_t d = 0, c = c0; d < form.blocks; d++, c += LANES) {
                    const lanes *of_block = sums + d * size * size;
                    const int64_t at = i0 / block * C + c, w = least(LANES, C - c);
                    if (!halves) {
                        add_doubles(distances_between(of_block, size, form.fold, 0, size, 0, size), w, own_columns + at);
                        continue;
                    }
                    const doubles own = distances_between(of_block, size, form.fold, 0, middle, 0, middle)
                                        + distances_between(of_block, size, form.fold, middle, size, half, size);
                    const doubles across = distances_between(of_block, size, form.fold, half, size, 0, half);
                    add_doubles(own + across, w, own_columns + at);
                    add_doubles(own, w, own_halves + at);
                }
            }
        }
#pragma omp critical
        for (int64_t c = 0; mine && c < C; c++) {
            if (rows) rows[c] += mine[c];
            if (simple) simple[c] += mine[C + c];
            for (int64_t k = c; columns && k < blocks * C; k += C) {
                columns[k] += own_columns[k];
                if (halves) halves[k] += own_halves[k];
            }
        }
        free(packed);
        free(mine);
    }
    return -failed;
}

/* ---- undoing the transformations on the feature maps ---- */

/* Between four taps, by differences, less a pivot: equal taps give exactly their value, so a constant map stays
 * constant, and an offset that all values of a channel share costs no digits. */
INLINE void between_taps(const float *image, float *restrict out, const int32_t *index, const float *fraction,
                         const float *pivot, int64_t C, int64_t from, int64_t w)
{
    const float *a = image + index[0] * C + from, *b = image + index[1] * C + from;
    const float *c = image + index[2] * C + from, *d = image + index[3] * C + from;
    const float x = fraction[0], y = fraction[1];
    for (int64_t u = 0; u < w; u++) {
        const float top = (a[u] - pivot[from + u]) + x * (b[u] - a[u]);
        const float bottom = (c[u] - pivot[from + u]) + x * (d[u] - c[u]);
        out[from + u] = top + y * (bottom - top);
    }
}

/* out[j, i, p]: bilinear between the taps index[j, p] of y[j, i], at fraction[j, p] = (x, y) between them, less the
 * channel's pivot; y, out: (M, b, positions, C). exact[j]: the member is the identity, its taps are the pixels. */
void undo(const float *y, int64_t M, int64_t b, int64_t positions, int64_t C, const int32_t *index,
          const float *fraction, const uint8_t *exact, const float *pivot, float *out)
{
    const int64_t image_size = positions * C, whole = C / LANES * LANES;
#pragma omp parallel for schedule(static) collapse(2)
    for (int64_t j = 0; j < M; j++)
        for (int64_t i = 0; i < b; i++) {
            const float *image = y + (j * b + i) * image_size;
            float *undone = out + (j * b + i) * image_size;
            for (int64_t p = 0; exact[j] && p < positions; p++)
                for (int64_t u = 0; u < C; u++) undone[p * C + u] = image[p * C + u] - pivot[u];
            for (int64_t p = 0; !exact[j] && p < positions; p++) {
                const int32_t *at = index + (j * positions + p) * 4;
                const float *by = fraction + (j * positions + p) * 2;
                float *to = undone + p * C;
                for (int64_t c = 0; c < whole; c += LANES) between_taps(image, to, at, by, pivot, C, c, LANES);
                if (whole < C) between_taps(image, to, at, by, pivot, C, whole, C - whole);
            }
        }
}
