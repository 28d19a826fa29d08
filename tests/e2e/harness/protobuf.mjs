// As much of protobuf as it takes to write a request of OTLP by hand, a broken one too, and to read
// an answer, without a library that would put right what is wrong.

function varintOf(value) {
  const bytes = [];
  let rest = BigInt(value);
  do {
    bytes.push(Number(rest & 127n) | (rest > 127n ? 128 : 0));
    rest >>= 7n;
  } while (rest > 0n);
  return Buffer.from(bytes);
}

const tag = (number, kind) => varintOf((number << 3) | kind);

export const message = (...fields) => Buffer.concat(fields);

export const number = (field, value) => message(tag(field, 0), varintOf(value));

export function fixed64(field, value) {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt(value));
  return message(tag(field, 1), bytes);
}

/** A text, bytes or a message within this one. */
export function nested(field, value) {
  const bytes = Buffer.from(value);
  return message(tag(field, 2), varintOf(bytes.length), bytes);
}

/** The values of each field, by its number: numbers, and bytes. */
export function read(bytes) {
  const fields = {};
  let at = 0;
  const varint = () => {
    let [value, shift] = [0n, 0n];
    for (;;) {
      const byte = bytes[at++];
      if (byte === undefined) throw new Error("a message that breaks off");
      value |= BigInt(byte & 127) << shift;
      if (byte < 128) return Number(value);
      shift += 7n;
    }
  };
  while (at < bytes.length) {
    const [field, kind] = ((said) => [said >> 3, said & 7])(varint());
    if (kind !== 0 && kind !== 2) throw new Error(`a field of kind ${kind}`);
    const length = varint();
    const value = kind === 0 ? length : bytes.subarray(at, (at += length));
    (fields[field] ??= []).push(value);
  }
  return fields;
}
