import type { JsonObject } from '../../core/json.ts'
import type { Ledger } from '../ledger.ts'
import type { SubjectChange } from './model.ts'
import { protocolCodes, refusal } from './refusal.ts'
import { change, noSubject } from './settings.ts'
import { entriesOf, type SubjectsState } from './state.ts'
import { versionNamed } from './versions.ts'

/** Taking versions out of use, and then for good. Ids go on giving their schemas. */
export interface Removal {
  /** The versions that went. @throws SUBJECT_REFUSED (40401, 40404, 40405, 42206) */
  removeSubject(
    subject: string,
    options: { permanent: boolean; by: string },
  ): Promise<readonly number[]>
  /** @throws SUBJECT_REFUSED (40401, 40402, 40406, 40407, 42202, 42206) */
  removeVersion(
    subject: string,
    version: string,
    options: { permanent: boolean; by: string },
  ): Promise<number>
}

export function createRemoval(ledger: Ledger<SubjectsState, SubjectChange & JsonObject>): Removal {
  return {
    removeSubject: (subject, { permanent, by }) =>
      ledger.change((state) => {
        const all = entriesOf(state, subject, true)
        if (all.length === 0) throw noSubject(subject)
        const living = all.filter(({ deleted }) => !deleted)
        if (permanent && living.length > 0) {
          throw refusal(
            protocolCodes.subjectNotSoftDeleted,
            `Subject '${subject}' was not deleted first before being deleted for good.`,
          )
        }
        if (!permanent && living.length === 0) {
          throw refusal(
            protocolCodes.subjectSoftDeleted,
            `Subject '${subject}' is deleted; permanent=true deletes it for good.`,
          )
        }
        const versions = (permanent ? all : living).map(({ version }) => version)
        refuseReferenced(state, subject, versions)
        return {
          changes: [change({ kind: 'versions-deleted', by, subject, versions, permanent })],
          result: () => versions,
        }
      }),
    removeVersion: (subject, text, { permanent, by }) =>
      ledger.change((state) => {
        const all = entriesOf(state, subject, true)
        const candidates = permanent ? all : all.filter(({ deleted }) => !deleted)
        if (all.length === 0) throw noSubject(subject)
        const isLatest = text === 'latest' || text === '-1'
        const { version, deleted } = versionNamed(isLatest ? candidates : all, text)
        if (deleted && !permanent) {
          throw refusal(
            protocolCodes.versionSoftDeleted,
            `Version ${version} of subject '${subject}' is deleted; permanent=true deletes it for good.`,
          )
        }
        if (!deleted && permanent) {
          throw refusal(
            protocolCodes.versionNotSoftDeleted,
            `Version ${version} of subject '${subject}' was not deleted first before being deleted for good.`,
          )
        }
        refuseReferenced(state, subject, [version])
        return {
          changes: [
            change({ kind: 'versions-deleted', by, subject, versions: [version], permanent }),
          ],
          result: () => version,
        }
      }),
  }
}

function refuseReferenced(
  state: SubjectsState,
  subject: string,
  versions: readonly number[],
): void {
  const ids = referrers(state, subject, versions)
  if (ids.length === 0) return
  throw refusal(
    protocolCodes.referenced,
    `Subject '${subject}' is referred to by the schemas ${ids.join(', ')}.`,
  )
}

/** Ids of the schemas in force that refer to one of these versions. */
export function referrers(
  state: SubjectsState,
  subject: string,
  versions: readonly number[],
): number[] {
  const ids = [...state.subjects.keys()]
    .flatMap((name) => entriesOf(state, name, false))
    .filter(({ references }) =>
      references.some((one) => one.subject === subject && versions.includes(one.version)),
    )
    .map(({ id }) => id)
  return [...new Set(ids)].sort((a, b) => a - b)
}
