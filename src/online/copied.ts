/** Copies of pages whose bytes somebody else will overwrite or keep alive: what a store hands out belongs to the caller. */

/** Room for copies, filled from the front: an allocation for each page would cost more than getting and copying it. */
const SLAB_BYTES = 1 << 18;
let slab = new Uint8Array(0);
let slabUsed = 0;

/** The first `length` bytes, copied. Begins at a multiple of 8, as pages like it. */
export function copyOf(bytes: Uint8Array, length = bytes.length): Uint8Array {
  if (slabUsed + length > slab.length) {
    // A value that would waste much of a slab gets memory of its own.
    if (length > SLAB_BYTES >> 3) return new Uint8Array(bytes.subarray(0, length));
    slab = new Uint8Array(SLAB_BYTES);
    slabUsed = 0;
  }
  const out = slab.subarray(slabUsed, slabUsed + length);
  out.set(bytes.subarray(0, length));
  slabUsed = (slabUsed + length + 7) & ~7;
  return out;
}
