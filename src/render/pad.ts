/** Text into columns, with crash's rule for what is centred. */

/**
 * Centre text; longer text stays as it is.
 * @param extra where the odd blank goes
 */
export function center(text: string, width: number, extra: 'left' | 'right' = 'right'): string {
  const blanks = width - text.length
  if (blanks <= 0) return text
  const left = extra === 'left' ? Math.ceil(blanks / 2) : Math.floor(blanks / 2)
  return ' '.repeat(left) + text + ' '.repeat(blanks - left)
}
