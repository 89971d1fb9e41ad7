// SPDX-License-Identifier: Apache-2.0

/** The bytes of a named section of a 64-bit little-endian ELF file (System V ABI), or undefined without that section. */
export function elfSection(file: Uint8Array, wanted: string): Uint8Array | undefined {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength)
  const isElf = file.byteLength >= 64 && view.getUint32(0, false) === 0x7f454c46
  if (!isElf || view.getUint8(4) !== 2 || view.getUint8(5) !== 1) throw new Error('not a 64-bit little-endian ELF file')
  const table = Number(view.getBigUint64(40, true))
  const stride = view.getUint16(58, true)
  const count = view.getUint16(60, true)
  const header = (index: number) => {
    const at = table + index * stride
    return {
      name: view.getUint32(at, true),
      offset: Number(view.getBigUint64(at + 24, true)),
      size: Number(view.getBigUint64(at + 32, true)),
    }
  }
  const names = header(view.getUint16(62, true))
  const nameIs = (offset: number): boolean => {
    for (let i = 0; i < wanted.length; i++) if (file[names.offset + offset + i] !== wanted.charCodeAt(i)) return false
    return file[names.offset + offset + wanted.length] === 0
  }
  for (let index = 1; index < count; index++) {
    const section = header(index)
    if (nameIs(section.name)) return file.subarray(section.offset, section.offset + section.size)
  }
  return undefined
}
