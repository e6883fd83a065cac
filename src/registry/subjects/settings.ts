import type { JsonObject } from '../../core/json.ts'
import type { Ledger } from '../ledger.ts'
import {
  type CompatibilityLevel,
  compatibilityLevels,
  type Mode,
  modes,
  type SubjectChange,
  type SubjectConfig,
} from './model.ts'
import { contextName, parseSubject } from './names.ts'
import { protocolCodes, refusal } from './refusal.ts'
import { entriesOf, type SubjectsState } from './state.ts'

/** Levels and modes, of everything (the empty subject), of a context, or of a subject. */
export interface Settings {
  /** @throws SUBJECT_REFUSED (40408) where the subject has none of its own and `fallback` is not set */
  config(subject: string, fallback: boolean): Promise<SubjectConfig>
  /** Fields that are absent keep their value. @throws SUBJECT_REFUSED (42203) */
  setConfig(subject: string, input: JsonObject, by: string): Promise<SubjectConfig>
  /** Gives what is removed. @throws SUBJECT_REFUSED (40401) */
  removeConfig(subject: string, by: string): Promise<SubjectConfig>
  /** @throws SUBJECT_REFUSED (40409) */
  mode(subject: string, fallback: boolean): Promise<Mode>
  /** `force`: also to IMPORT over a subject that has schemas. @throws SUBJECT_REFUSED (42204, 42205) */
  setMode(subject: string, mode: string, options: { force: boolean; by: string }): Promise<Mode>
  /** Gives what is removed. @throws SUBJECT_REFUSED (40401) */
  removeMode(subject: string, by: string): Promise<Mode>
}

const levelDefault: CompatibilityLevel = 'BACKWARD'

/** What holds for a subject: its own settings, else those of its context, else those of everything. */
export function configOf(
  state: SubjectsState,
  subject: string,
): Required<Pick<SubjectConfig, 'compatibilityLevel' | 'compatibilityPolicy' | 'normalize'>> &
  SubjectConfig {
  return {
    compatibilityLevel: levelDefault,
    compatibilityPolicy: 'STRICT',
    normalize: false,
    ...state.configs.get(''),
    ...state.configs.get(contextName(parseSubject(subject).context)),
    ...state.configs.get(subject),
  }
}

/** The mode that holds for a subject. */
export function modeOf(state: SubjectsState, subject: string): Mode {
  const context = contextName(parseSubject(subject).context)
  const general = state.modes.get('')
  if (general === 'READONLY_OVERRIDE') return general
  return state.modes.get(subject) ?? state.modes.get(context) ?? general ?? 'READWRITE'
}

export function createSettings(
  ledger: Ledger<SubjectsState, SubjectChange & JsonObject>,
): Settings {
  return {
    async config(subject, fallback) {
      const state = await ledger.read()
      const own = state.configs.get(subject)
      if (subject === '' || fallback) return configOf(state, subject)
      if (own) return own
      throw refusal(
        protocolCodes.configNotSet,
        `Subject '${subject}' has no compatibility level of its own.`,
      )
    },
    async setConfig(subject, input, by) {
      const wanted = readConfig(input)
      return ledger.change((state) => {
        const { others, ...rest } = { ...state.configs.get(subject), ...wanted }
        const merged = { ...state.configs.get(subject)?.others, ...wanted.others, ...others }
        const config = { ...rest, ...(Object.keys(merged).length > 0 ? { others: merged } : {}) }
        return {
          changes: [change({ kind: 'config-set', by, subject, config })],
          result: () => config,
        }
      })
    },
    removeConfig: (subject, by) =>
      ledger.change((state) => {
        const removed = state.configs.get(subject)
        if (!removed && subject !== '') throw noSubject(subject)
        const config = removed ?? { compatibilityLevel: levelDefault }
        return {
          changes: removed ? [change({ kind: 'config-set', by, subject, config: null })] : [],
          result: () => config,
        }
      }),
    async mode(subject, fallback) {
      const state = await ledger.read()
      const own = state.modes.get(subject)
      if (subject === '' || fallback) return modeOf(state, subject)
      if (own) return own
      throw refusal(protocolCodes.modeNotSet, `Subject '${subject}' has no mode of its own.`)
    },
    setMode: (subject, text, { force, by }) =>
      ledger.change((state) => {
        const mode = modes.find((one) => one === text.toUpperCase())
        if (!mode || (mode === 'READONLY_OVERRIDE' && subject !== '')) {
          throw refusal(protocolCodes.invalidMode, `Invalid mode. Valid are ${modes.join(', ')}.`)
        }
        const isFilled = subject === '' ? state.subjects.size > 0 : hasVersions(state, subject)
        if (mode === 'IMPORT' && isFilled && !force && modeOf(state, subject) !== 'IMPORT') {
          throw refusal(
            protocolCodes.notPermitted,
            'IMPORT needs a place without schemas, or force=true.',
          )
        }
        return { changes: [change({ kind: 'mode-set', by, subject, mode })], result: () => mode }
      }),
    removeMode: (subject, by) =>
      ledger.change((state) => {
        const removed = state.modes.get(subject)
        if (!removed && subject !== '') throw noSubject(subject)
        return {
          changes: removed ? [change({ kind: 'mode-set', by, subject, mode: null })] : [],
          result: () => removed ?? 'READWRITE',
        }
      }),
  }
}

function hasVersions(state: SubjectsState, subject: string): boolean {
  return entriesOf(state, subject, false).length > 0
}

/** The change as the store takes it. */
export function change(value: SubjectChange): SubjectChange & JsonObject {
  return value as unknown as SubjectChange & JsonObject
}

export function noSubject(subject: string) {
  return refusal(protocolCodes.subjectNotFound, `Subject '${subject}' not found.`)
}

function readConfig(input: JsonObject): SubjectConfig {
  const { compatibility, compatibilityLevel, compatibilityPolicy, normalize, ...others } = input
  const given = compatibility ?? compatibilityLevel
  const level = compatibilityLevels.find((one) => one === String(given).toUpperCase())
  if (given !== undefined && given !== null && !level) {
    throw refusal(
      protocolCodes.invalidLevel,
      `Invalid compatibility level. Valid are ${compatibilityLevels.join(', ')}.`,
    )
  }
  const policy = String(compatibilityPolicy ?? '').toUpperCase()
  return {
    ...(level ? { compatibilityLevel: level } : {}),
    ...(policy === 'STRICT' || policy === 'LENIENT' ? { compatibilityPolicy: policy } : {}),
    ...(typeof normalize === 'boolean' ? { normalize } : {}),
    ...(Object.keys(others).length > 0 ? { others } : {}),
  }
}
