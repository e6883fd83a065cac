import { contractDigest } from '../evolve/digest.ts'
import type { Contract } from '../model.ts'

/** One thing that must be so before a contract is complete. */
export interface Criterion {
  readonly name: string
  readonly isMet: boolean
  /** What is missing, as short phrases; empty when it is met. */
  readonly missing: readonly string[]
}

function criterion(name: string, missing: readonly (string | false)[]): Criterion {
  const open = missing.filter((text) => text !== false)
  return { name, isMet: open.length === 0, missing: open }
}

/** The consumers that are deployed: pending ones hold nothing up. */
function deployed(contract: Contract) {
  return Object.values(contract.consumers).filter(({ pending }) => !pending)
}

function withoutNeeds(contract: Contract): string[] {
  return deployed(contract).flatMap(({ name, events }) =>
    Object.entries(events).flatMap(([event, { needs, needsSchema }]) =>
      needs.length === 0 && needsSchema === undefined ? [`what ${name} needs of ${event}`] : [],
    ),
  )
}

function withoutHandling(contract: Contract): string[] {
  return deployed(contract).flatMap(({ name, events }) =>
    Object.entries(events).flatMap(([event, { handling }]) =>
      handling === undefined ? [`how ${name} handles ${event}`] : [],
    ),
  )
}

/**
 * The five steps of seed 000's workflow, each with what it has not brought forth yet. A contract is complete when
 * all are met.
 */
export function contractSteps(contract: Contract): Criterion[] {
  const messages = [...Object.values(contract.events), ...Object.values(contract.commands)]
  return [
    criterion('Understand integration', [
      contract.purpose === '' && 'the purpose',
      contract.design === undefined && 'the design document',
    ]),
    criterion('Define events and messages', [
      messages.length === 0 && 'an event or command',
      ...messages.map(({ name, purpose }) => purpose === '' && `the purpose of ${name}`),
      ...messages.map(({ name, examples }) => examples.length === 0 && `an example of ${name}`),
    ]),
    criterion('Document contracts', [
      contract.owner === undefined && 'an owner',
      Object.keys(contract.producers).length === 0 && 'a producer',
      contract.sla.delivery === undefined && 'the delivery guarantee',
    ]),
    criterion('Plan versioning', [
      contract.evolution.mode === 'none' && 'a compatibility mode',
      ...messages.map(
        ({ name, deprecated }) =>
          deprecated !== undefined && deprecated.sunset === undefined && `the sunset of ${name}`,
      ),
    ]),
    criterion('Identify consumers', [
      Object.keys(contract.consumers).length === 0 &&
        Object.keys(contract.commands).length === 0 &&
        'a consumer',
      ...withoutNeeds(contract),
      ...withoutHandling(contract),
    ]),
  ]
}

/** The four boxes of seed 000's quality gate, computed from the contract alone: nobody ticks them. */
export function qualityGate(contract: Contract): Criterion[] {
  const digest = contractDigest(contract)
  const reviewed = new Set(
    contract.reviews.filter((review) => review.digest === digest).map(({ consumer }) => consumer),
  )
  return [
    criterion('Schema versioning strategy defined', [
      contract.evolution.mode === 'none' && 'a compatibility mode',
    ]),
    criterion('Consumer impacts identified', withoutNeeds(contract)),
    criterion(
      'Reviewed by all consumers',
      deployed(contract).map(({ name }) => !reviewed.has(name) && `the review of ${name}`),
    ),
    criterion(
      'Error handling documented',
      deployed(contract).flatMap(({ name, deadLetter, idempotency }) => [
        deadLetter.owner === undefined && `who looks after the dead letters of ${name}`,
        idempotency === undefined && `how ${name} recognises a repetition`,
      ]),
    ),
  ]
}
