/* Steps through many Avro records (Avro 1.11, "Binary Encoding"): what cursor.py and columns.py do with NumPy, in machine code that needs
 * neither the interpreter nor its lock. Compiled when it is first needed, see native.py. Freestanding: no header of a C library.
 *
 * Every byte is read behind a look at its record's own end, so what a record's bytes say never touches another one. A record that is found
 * to be bad is left where it is; what was written of it by then is harmless, and whoever calls takes its row out.
 */

#include <stdint.h>

enum { STRING, BOOLEAN, INT, LONG, FLOAT, DOUBLE, DOUBLES }; /* the kinds in native.py, in this order */
enum { INLINE = 12 };                                        /* bytes; a text up to here lies in its view itself */

typedef struct {
  const uint8_t *at, *end;
} span;

static uint64_t little_endian(const uint8_t *at, int64_t size) {
  uint64_t word = 0;
  for (int64_t k = 0; k < size; k++) word |= (uint64_t)at[k] << (8 * k);
  return word;
}

/* A number of seven bits a byte, lowest first, still in zigzag. 0 when the span ends within it or it has more than 64 bits. */
static int varint(span *s, uint64_t *raw) {
  uint64_t value = 0;
  for (int k = 0; k < 10; k++) {
    if (s->at == s->end) return 0;
    uint8_t byte = *s->at++;
    value |= (uint64_t)(byte & 0x7F) << (7 * k);
    if (byte < 0x80) {
      *raw = value;
      return k < 9 || byte <= 1;
    }
  }
  return 0;
}

static int64_t signed_of(uint64_t raw) { return (int64_t)((raw >> 1) ^ (0 - (raw & 1))); }

/* Unicode 15, table 3-7: no overlong forms, no surrogates, nothing above U+10FFFF. */
static int is_utf8(const uint8_t *at, const uint8_t *end) {
  while (at < end) {
    uint8_t first = *at++;
    if (first < 0x80) continue;
    int more = first >= 0xC2 && first <= 0xDF ? 1 : first >= 0xE0 && first <= 0xEF ? 2 : first >= 0xF0 && first <= 0xF4 ? 3 : 0;
    if (!more || end - at < more) return 0;
    uint8_t low = first == 0xE0 ? 0xA0 : first == 0xF0 ? 0x90 : 0x80;
    uint8_t high = first == 0xED ? 0x9F : first == 0xF4 ? 0x8F : 0xBF;
    if (at[0] < low || at[0] > high) return 0;
    for (int k = 1; k < more; k++)
      if ((at[k] & 0xC0) != 0x80) return 0;
    at += more;
  }
  return 1;
}

/* The next block of an array of doubles: how many items, 0 at the array's end. blocks.py says what a block is. 0 when it is none. */
static int block(span *s, int64_t *items) {
  uint64_t raw;
  if (!varint(s, &raw)) return 0;
  int64_t count = signed_of(raw);
  if (count < 0) { /* the size in bytes follows; no lower count has one that fits */
    if (count < -(INT64_MAX / 8) || !varint(s, &raw)) return 0;
    count = -count;
    if (signed_of(raw) != 8 * count) return 0;
  }
  *items = count;
  return count <= (s->end - s->at) / 8;
}

static int array(span *s, int64_t *total) {
  int64_t items;
  for (*total = 0;; *total += items, s->at += 8 * items) {
    if (!block(s, &items)) return 0;
    if (!items) return 1;
  }
}

/* Read records, each a body from starts to ends in data, field by field. native.py says what each array is; what is written to must be
 * zeros before. */
void tidemark_walk(const uint8_t *data, int64_t records, const int64_t *starts, const int64_t *ends, int64_t fields, const int8_t *kinds,
                   const int8_t *branches, uint64_t *const *values, int64_t *const *lengths, uint8_t *const *present, int64_t *missing,
                   int64_t *far, uint8_t *whole) {
  for (int64_t r = 0; r < records; r++) {
    span s = {data + starts[r], data + ends[r]};
    int64_t f = 0;
    for (; f < fields; f++) {
      uint64_t raw;
      if (branches[f] >= 0) {
        if (!varint(&s, &raw) || (raw != 0 && raw != 2)) break;
        if (raw != 2u * (uint64_t)branches[f]) {
          missing[f]++;
          continue;
        }
        present[f][r] = 1;
      }
      uint64_t *value = values[f]; /* null for a field that no column is made of */
      switch (kinds[f]) {
        case STRING: {
          if (!varint(&s, &raw) || raw & 1 || raw >> 1 > (uint64_t)(s.end - s.at)) goto bad;
          int64_t size = (int64_t)(raw >> 1);
          const uint8_t *text = s.at;
          if (!is_utf8(text, text + size)) goto bad;
          s.at += size;
          if (!value) break;
          if (size <= INLINE) {
            value[2 * r] = (uint64_t)size | little_endian(text, size < 4 ? size : 4) << 32;
            if (size > 4) value[2 * r + 1] = little_endian(text + 4, size - 4);
          } else {
            value[2 * r] = (uint64_t)(text - data);
            lengths[f][r] = size;
            far[f] += size;
          }
          break;
        }
        case BOOLEAN:
          if (s.at == s.end || *s.at > 1) goto bad;
          if (value) value[r] = *s.at;
          s.at++;
          break;
        case FLOAT:
        case DOUBLE: {
          int64_t size = kinds[f] == DOUBLE ? 8 : 4;
          if (s.end - s.at < size) goto bad;
          if (value) value[r] = size == 8 ? little_endian(s.at, 8) : little_endian(s.at, 4);
          s.at += size;
          break;
        }
        case DOUBLES: {
          const uint8_t *begin = s.at;
          int64_t items;
          if (!array(&s, &items)) goto bad;
          if (!value) break;
          value[r] = (uint64_t)(begin - data);
          lengths[f][r] = items;
          far[f] += items;
          break;
        }
        default: /* INT and LONG */
          if (!varint(&s, &raw) || (kinds[f] == INT && raw >> 32)) goto bad;
          if (value) value[r] = (uint64_t)signed_of(raw);
      }
    }
    if (f < fields) goto bad;
    whole[r] = s.at == s.end;
    continue;
  bad:
    whole[r] = 0;
  }
}

/* Copy the texts with a length into blob, end to end, and make views of where they lie (views[2r] is that, before) into such of blob. */
void tidemark_gather_texts(const uint8_t *data, int64_t records, const int64_t *lengths, uint64_t *views, uint8_t *blob) {
  uint64_t to = 0;
  for (int64_t r = 0; r < records; r++) {
    int64_t size = lengths[r];
    if (!size) continue;
    const uint8_t *text = data + views[2 * r];
    for (int64_t k = 0; k < size; k++) blob[to + (uint64_t)k] = text[k];
    views[2 * r] = (uint64_t)size | little_endian(text, 4) << 32;
    views[2 * r + 1] = to << 32; /* in the first buffer, which is this one */
    to += (uint64_t)size;
  }
}

/* Copy the items of arrays into items, end to end. Each begins where begins says, and was found right by tidemark_walk. */
void tidemark_gather_doubles(const uint8_t *data, int64_t bytes, int64_t records, const uint64_t *begins, const int64_t *lengths,
                             uint64_t *items) {
  for (int64_t r = 0; r < records; r++) {
    span s = {data + begins[r], data + bytes};
    int64_t count;
    for (int64_t left = lengths[r]; left > 0 && block(&s, &count); left -= count)
      for (int64_t k = 0; k < count; k++, s.at += 8) *items++ = little_endian(s.at, 8);
  }
}
