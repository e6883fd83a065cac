import type { Subjects } from '../../registry/index.ts'

/** What the routes of the facade answer from. */
export interface FacadeState {
  /** @throws NOT_READY */
  subjects(): Subjects
}
