import { isUtf8 } from 'node:buffer'
import type { Contract, MessageVerdict, PackName } from '../../contracts/index.ts'
import type { Finding } from '../../core/finding.ts'
import { isJsonObject, parsePointer } from '../../core/json.ts'
import { limits } from '../../core/limits.ts'
import type { Command, CommandContext } from '../command.ts'
import type { CommandTable } from '../command-table.ts'
import { exitCode } from '../exit-code.ts'
import { countFindings, plural } from '../finding-text.ts'
import { projectContracts } from '../project.ts'
import { readAll } from '../read-input.ts'

/** Findings of one input that are shown in its text. */
const framesMax = 100

interface Judged {
  /** From 0, in the order of the input. */
  readonly index: number
  /** Line of the input, where it holds one message a line. */
  readonly line?: number
  readonly id: string | null
  readonly type: string | null
  readonly ok: boolean
}
interface Data {
  readonly messages: number
  readonly valid: number
  readonly invalid: number
  readonly verdicts: readonly Judged[]
}
type Judge = (message: unknown) => MessageVerdict

/** One message of the input with the way back to its text, or why it is none. */
type Item =
  | {
      readonly value: unknown
      readonly line?: number
      readonly pointer: string
      readonly text: string
    }
  | { readonly finding: Finding; readonly line?: number }

/** Judges a message, an array of messages, or one message a line. */
export const validate: Command<CommandTable['validate'], Data> = {
  async run({ file, pack, profile }, context) {
    const bytes = await readAll(file, context)
    const shown = file === '-' ? undefined : file
    const items = await itemsOf(bytes, shown)
    const judge = await createJudge(context, pack, profile)
    const placed = await createPlacer(shown)
    const findings: Finding[] = []
    const verdicts = items.map((item, index): Judged => {
      const { ok, found } = judgeItem(item, judge, placed)
      findings.push(...found)
      return {
        index,
        ...(item.line === undefined ? {} : { line: item.line }),
        ...namesOf(item),
        ok,
      }
    })
    const invalid = verdicts.filter(({ ok }) => !ok).length
    const cut = findings.length > limits.findingsMax
    return {
      exitCode: invalid > 0 ? exitCode.findings : exitCode.ok,
      findings: cut
        ? [...findings.slice(0, limits.findingsMax), cutFinding(findings.length)]
        : findings,
      data: { messages: items.length, valid: items.length - invalid, invalid, verdicts },
      toText({ green, red, symbols }) {
        const verdict = invalid > 0 ? red(`${symbols.fail} failed`) : green(`${symbols.ok} ok`)
        const count = `${items.length - invalid} of ${plural(items.length, 'message')} valid`
        return `${verdict}  ${count}, ${countFindings(findings)}`
      },
    }
  },
}

async function createJudge(
  context: CommandContext,
  pack: string | undefined,
  profile: string | undefined,
): Promise<Judge> {
  const { loadPack, validateMessage } = await import('../../contracts/index.ts')
  const contracts: readonly Contract[] =
    pack === undefined ? await projectContracts(context) : loadPack(pack as PackName)
  const chosen = (profile ?? (await context.settings()).profile) as 'default'
  return (message) => validateMessage(message, { contracts, profile: chosen })
}

type Place = (finding: Finding, item: Extract<Item, { readonly text: string }>) => Finding

/** Gives findings their place in the reader's text: file, line, column and code frame, for the first hundred of them. */
async function createPlacer(file: string | undefined): Promise<Place> {
  const { jsonSource } = await import('../../contracts/index.ts')
  let left = framesMax
  return (finding, item) => {
    const pointer = `${item.pointer}${finding.pointer ?? ''}`
    const found = { ...finding, ...(file === undefined ? {} : { file }), pointer }
    const path =
      item.line === undefined ? parsePointer(pointer) : parsePointer(finding.pointer ?? '')
    // Finding a place reads the text anew.
    const place = left > 0 && path ? jsonSource(item.text).place(path) : undefined
    left -= 1
    if (item.line === undefined) return { ...found, ...place }
    return {
      ...found,
      ...(place ? { ...place, frame: numbered(place.frame, item.line) } : {}),
      line: item.line,
    }
  }
}

/** The frame of a text of one line under the number that this line has in the input. */
function numbered(frame: string, line: number): string {
  const number = String(line)
  return frame
    .split('\n')
    .map((row) =>
      row
        .replace(/^> 1 \|/, `> ${number} |`)
        .replace(/^ {4}\|/, `${' '.repeat(number.length + 3)}|`),
    )
    .join('\n')
}

function judgeItem(
  item: Item,
  judge: Judge,
  placed: Place,
): { readonly ok: boolean; readonly found: readonly Finding[] } {
  if ('finding' in item) return { ok: false, found: [item.finding] }
  const { ok, findings } = judge(item.value)
  return { ok, found: findings.map((finding) => placed(finding, item)) }
}

function namesOf(item: Item): { readonly id: string | null; readonly type: string | null } {
  const value = 'value' in item && isJsonObject(item.value) ? item.value : {}
  const text = (field: unknown) => (typeof field === 'string' ? field.slice(0, 200) : null)
  return { id: text(value.id), type: text(value.type) }
}

/** Splits the input into messages: a JSON array into its items, JSON lines into lines; anything else is one message. */
async function itemsOf(bytes: Buffer, file: string | undefined): Promise<readonly Item[]> {
  const { parseJson } = await import('../../contracts/index.ts')
  const fileField = file === undefined ? {} : { file }
  if (!isUtf8(bytes)) {
    const message = 'the input is not UTF-8 text'
    const hint = 'Save it as UTF-8.'
    return [{ finding: { code: 'FILE_NOT_UTF8', message, severity: 'error', hint, ...fileField } }]
  }
  const text = bytes.toString('utf8')
  const whole = parseJson(text, file)
  if ('value' in whole) {
    if (!Array.isArray(whole.value)) return [{ value: whole.value, pointer: '', text }]
    return whole.value.map((value, index) => ({ value, pointer: `/${index}`, text }))
  }
  const lines = text.split('\n').map((line, at) => ({ line: line.trim(), number: at + 1 }))
  const filled = lines.filter(({ line }) => line !== '')
  const first = filled[0]
  // One message a line only where the first line is JSON by itself: else a mistake in one long text would be many.
  if (filled.length < 2 || !first || !('value' in parseJson(first.line)))
    return [{ finding: whole.finding }]
  return filled.map(({ line, number }): Item => {
    const parsed = parseJson(line, file)
    if ('value' in parsed) return { value: parsed.value, line: number, pointer: '', text: line }
    const { frame } = parsed.finding
    const shown = frame === undefined ? {} : { frame: numbered(frame, number) }
    return { finding: { ...parsed.finding, ...shown, line: number }, line: number }
  })
}

function cutFinding(total: number): Finding {
  return {
    code: 'FINDINGS_CUT',
    message: `there are ${total} findings, ${limits.findingsMax} are listed`,
    severity: 'info',
  }
}
