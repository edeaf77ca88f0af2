/** How many random cases a property runs: its own number in `make test`, SAMEWISE_SOAK times as many in `make soak`. */
export function cases(usual: number): number {
  return Math.round(usual * Number(process.env.SAMEWISE_SOAK ?? '1'));
}
