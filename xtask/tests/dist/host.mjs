// The host's half of the contract, as far as an offline plan needs it.

/** @param {string[]} texts */
const packed = (texts) => {
  const ends = texts.map(() => 0);
  let end = 0;
  texts.forEach((text, i) => (ends[i] = end += Buffer.byteLength(text)));
  return { bytes: texts.join(''), offsets: new Uint32Array([0, ...ends]) };
};

/** @param {{ bytes: string, offsets: Uint32Array }} strings */
const unpacked = ({ bytes, offsets }) => {
  const all = Buffer.from(bytes);
  return Array.from(offsets.slice(1), (end, i) => all.toString('utf8', offsets[i], end));
};

class Records {
  /** @param {string[]} names @param {string[][]} rows */
  constructor(names, rows) {
    this.names = names;
    this.rows = rows;
    this.read = 0;
  }
  next(max) {
    const rows = this.rows.slice(this.read, this.read + max);
    if (rows.length === 0) return undefined;
    const firstRow = BigInt(this.read + 1);
    this.read += rows.length;
    const columns = this.names.map((name, i) => {
      const valid = new Uint8Array(Math.ceil(rows.length / 8));
      rows.forEach((row, n) => row[i] !== '' && (valid[n >> 3] |= 1 << (n & 7)));
      return { name, values: { tag: 'text', val: packed(rows.map((row) => row[i])) }, valid };
    });
    return { firstRow, length: rows.length, columns };
  }
}

class PlanSink {
  changes = [];
  skipped = 0;
  push({ ids, fields }) {
    const values = unpacked(fields);
    unpacked(ids).forEach((id, i) => this.changes.push({ provider_id: id, fields: JSON.parse(values[i]) }));
  }
  skip({ rows }) {
    this.skipped += rows.length;
  }
  dropColumn() {}
  warn() {}
  guard() {}
  flag() {}
  joined() {}
}

class Confirmed {}
class OutcomeSink {}
class VerifySink {}

export const streams = { Records, PlanSink, Confirmed, OutcomeSink, VerifySink };
