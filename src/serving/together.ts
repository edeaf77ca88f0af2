/**
 * Answers to the requests of one turn, which are sent together at its end: a client that sleeps is woken up once, not for each of
 * them, and waking it costs more than reading a vector.
 */
type Send = () => void;

let ready: Send[] = [];

/** Calls `send` at the end of this turn. */
export function sendTogether(send: Send): void {
  if (ready.length === 0) setImmediate(sendReady);
  ready.push(send);
}

function sendReady(): void {
  const all = ready;
  ready = [];
  for (const send of all) send();
}
