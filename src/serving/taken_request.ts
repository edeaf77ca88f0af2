/** Requests of HTTP/1.1 whose bodies may be taken as they come, without the machinery of streams, which costs more than reading ten features does. */
import { IncomingMessage } from 'node:http';

/** Takes a body that is whole; false: it is to be read from the request like any other. */
export type TakeBody = (body: Buffer) => boolean;

export class TakenRequest extends IncomingMessage {
  #take: TakeBody | null = null;
  #chunks: Buffer[] = [];

  /** To be called when the request has come. Where the client goes away before the body's end, nothing is taken. */
  takeBody(take: TakeBody): void {
    this.#take = take;
  }

  /** What the parser of requests calls with each part of the body, and with null at its end. */
  override push(chunk: Buffer | null, encoding?: BufferEncoding): boolean {
    const take = this.#take;
    if (take === null) return super.push(chunk, encoding);
    if (chunk !== null) {
      this.#chunks.push(chunk);
      return true;
    }
    this.#take = null;
    const body = this.#chunks.length === 1 ? this.#chunks[0]! : Buffer.concat(this.#chunks);
    this.#chunks = [];
    if (!take(body)) super.push(body);
    return super.push(null);
  }
}
