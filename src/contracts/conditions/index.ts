/** Conditions over messages, in CEL: a door of its own, because its parser is loaded only where there are some. */
export type {
  ConditionMistake,
  Conditions,
  ConditionsOptions,
  Judgement,
} from './conditions.ts'
export { createConditions } from './conditions.ts'
