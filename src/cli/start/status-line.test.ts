import { expect, test } from 'vitest'
import { createStatusLine } from './status-line.ts'

function terminal(isTTY: boolean) {
  const written: string[] = []
  return { isTTY, columns: 12, written, write: (text: string) => written.push(text) }
}

test('a status line rewrites itself, cut to the width, and only when it changed', () => {
  const target = terminal(true)
  const line = createStatusLine(target, true)
  line.show('a very long status')
  line.show('a very long status')
  line.clear()
  line.clear()
  expect(target.written).toEqual(['\r\u001b[2Ka very long', '\r\u001b[2K'])
})

test('what a handler prints does not end up behind the status', () => {
  const target = terminal(true)
  const output = terminal(true)
  const line = createStatusLine(target, true, [output])
  line.show('2 published')
  output.write('invoice\n')
  line.show('3 published')
  target.write('a warning\n')
  line.close()
  output.write('later\n')

  const away = '\r\u001b[2K'
  expect(target.written).toEqual([
    `${away}2 published`,
    away,
    `${away}3 published`,
    away,
    'a warning\n',
  ])
  expect(output.written).toEqual(['invoice\n', 'later\n'])
})

test('nothing is written to what is no terminal, nor when nobody wants it', () => {
  const pipe = terminal(false)
  createStatusLine(pipe, true).show('x')
  const quiet = terminal(true)
  createStatusLine(quiet, false).show('x')
  expect([...pipe.written, ...quiet.written]).toEqual([])
})

test('a terminal that gives its width as 0 loses no text', () => {
  const target = { ...terminal(true), columns: 0 }
  createStatusLine(target, true).show('12 published')
  expect(target.written).toEqual(['\r\u001b[2K12 published'])
})
