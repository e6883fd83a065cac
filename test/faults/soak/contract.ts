import { defineContract } from '../../../src/index.ts'

/** What a handler shall do with a message; it is decided by who publishes it, so that every process agrees. */
export const fates = ['pass', 'retry', 'fail', 'die', 'drop', 'release', 'slow'] as const
export type Fate = (typeof fates)[number]

/** Consumers by the event that they handle. */
export const consumersOf = {
  'parcel.moved': ['plain', 'strict'],
  'weather.seen': ['loose'],
} as const
export type SoakEvent = keyof typeof consumersOf
/** Consumers whose channel keeps the order of each key. */
export const orderedConsumers: readonly string[] = consumersOf['parcel.moved']

const schema = {
  type: 'object',
  required: ['key', 'sequence', 'fate'],
  properties: {
    key: { type: 'string' },
    sequence: { type: 'integer', minimum: 0 },
    fate: { enum: fates },
  },
} as const
const needs = ['key', 'sequence', 'fate']
const retry = { attempts: 4, base: '50ms', factor: 2, cap: '1s', jitter: 'full' } as const

/**
 * One keyed channel that two consumers read, with and without `onDead: block`, and one without a key. No consumer has an
 * inbox: what arrives twice shall be seen. Names are those of one run.
 */
export const soakContract = (run: string) =>
  defineContract({
    id: `soak.r${run}`,
    version: '1.0.0',
    purpose:
      'Moves messages while everything that can be killed is killed, so that a lost one shows.',
    channels: {
      parcels: { address: `soak.${run}.parcels`, key: 'key', ordering: 'per-key' },
      weather: { address: `soak.${run}.weather`, ordering: 'none' },
    },
    events: {
      'parcel.moved': { channel: 'parcels', purpose: 'Sent when a parcel has moved.', schema },
      'weather.seen': { channel: 'weather', purpose: 'Sent when somebody looked up.', schema },
    },
    producers: { shop: {} },
    consumers: {
      plain: {
        accepts: '^1.0.0',
        events: { 'parcel.moved': { needs } },
        retry,
        deadLetter: { onDead: 'next', onExpired: 'dead-letter' },
      },
      strict: {
        accepts: '^1.0.0',
        events: { 'parcel.moved': { needs } },
        retry,
        deadLetter: { onDead: 'block', onExpired: 'drop' },
      },
      loose: {
        accepts: '^1.0.0',
        events: { 'weather.seen': { needs } },
        retry,
        deadLetter: { onDead: 'next', onExpired: 'drop' },
      },
    },
  })
