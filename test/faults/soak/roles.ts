import type { Bus, ContractTypesOf } from '../../../src/index.ts'
import type { soakContract } from './contract.ts'
import type { Journal } from './journal.ts'

export type SoakTypes = ContractTypesOf<ReturnType<typeof soakContract>>
export type Role = 'producer' | 'worker' | 'desk'

/** The exit code of a process that found no broker when it began. */
export const stillborn = 75

/** What a process is told when it is started. */
export interface ChildOrder {
  readonly role: Role
  /** Its own name, which no other start of the run has. */
  readonly name: string
  readonly run: string
  readonly url: string
  readonly folder: string
  readonly leaseMs: number
  readonly seed: number
  /** Messages a second, for producers. */
  readonly rate: number
}

export interface RoleContext {
  readonly bus: Bus<SoakTypes>
  readonly order: ChildOrder
  readonly journal: Journal
  readonly random: () => number
  /** Aborts when the process is to leave in good order. */
  readonly ended: AbortSignal
  /** Tells who started it that it works. */
  ready(): void
}
