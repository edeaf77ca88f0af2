/** How many random cases a property runs: its own number in `make test`, more in `make soak` (SAMEWISE_CASES). */
export function cases(usual: number): number {
  const asked = Number(process.env.SAMEWISE_CASES ?? '');
  return asked > 0 ? Math.max(usual, asked) : usual;
}
