/** The shapes of what those who run the server ask. */
import Type, { type TObject } from 'typebox';
import { BAD } from './schemas.ts';

const Plain = (description: string): TObject =>
  Type.Object({ status: Type.String({ examples: ['ok'] }) }, { description });

export const healthSchema = {
  operationId: 'health',
  tags: ['operation'],
  summary: 'Is the process alive',
  description: 'Answers as long as the process does; asks nothing else.',
  response: { 200: Plain('Alive.'), ...BAD },
};

export const readySchema = {
  operationId: 'ready',
  tags: ['operation'],
  summary: 'Can requests be answered',
  description:
    'Yes, when it has warmed up, does not end, and the registry and the online store answer; else 503 with `serving/not-ready`.',
  response: { 200: Plain('Ready.'), ...BAD },
};

export const metricsSchema = {
  operationId: 'metrics',
  tags: ['operation'],
  summary: 'Metrics',
  description:
    "Counters and durations in Prometheus' text format; of all processes of a server that has several, each sample with its `worker`.",
  produces: ['text/plain'],
  response: { 200: Type.String({ description: 'Metrics.' }), ...BAD },
};
