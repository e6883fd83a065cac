export type { GateCheck, GateReport, GateRequest } from './gate.ts'
export { gateRuleNames, runGate } from './gate.ts'
export type { GateRule, JudgedWaiver } from './waivers.ts'
export { judgeWaivers, waiverFor, withWaivers } from './waivers.ts'
