// How large a picture file says it is, read from its first bytes, so that a huge one is refused before it is unpacked.

export interface Size {
  readonly width: number;
  readonly height: number;
}

/** Width and height of a PNG, JPEG or WebP file, or null if it is none of them or damaged. */
export function dimensions(file: ArrayBuffer): Size | null {
  const view = new DataView(file);
  try {
    return png(view) ?? jpeg(view) ?? webp(view);
  } catch (error) {
    if (error instanceof RangeError) return null; // the file ends too early
    throw error;
  }
}

function starts(view: DataView, offset: number, letters: string): boolean {
  return [...letters].every((letter, i) => view.getUint8(offset + i) === letter.charCodeAt(0));
}

function png(view: DataView): Size | null {
  if (!starts(view, 1, "PNG\r\n") || !starts(view, 12, "IHDR")) return null;
  return { width: view.getUint32(16), height: view.getUint32(20) };
}

/** The size is in the start-of-frame segment, behind others of any length. */
function jpeg(view: DataView): Size | null {
  if (view.getUint16(0) !== 0xffd8) return null;
  let offset = 2;
  for (;;) {
    while (view.getUint8(offset) === 0xff) offset++;
    const marker = view.getUint8(offset);
    const frame = marker >= 0xc0 && marker <= 0xcf && marker !== 0xc4 && marker !== 0xc8 && marker !== 0xcc;
    if (frame) return { height: view.getUint16(offset + 4), width: view.getUint16(offset + 6) };
    offset += 1 + view.getUint16(offset + 1);
    if (view.getUint8(offset) !== 0xff) return null;
  }
}

function webp(view: DataView): Size | null {
  if (!starts(view, 0, "RIFF") || !starts(view, 8, "WEBP")) return null;
  if (starts(view, 12, "VP8 ")) {
    return { width: view.getUint16(26, true) & 0x3fff, height: view.getUint16(28, true) & 0x3fff };
  }
  if (starts(view, 12, "VP8L")) {
    const bits = view.getUint32(21, true);
    return { width: (bits & 0x3fff) + 1, height: ((bits >>> 14) & 0x3fff) + 1 };
  }
  if (starts(view, 12, "VP8X")) {
    const three = (offset: number): number => view.getUint16(offset, true) + (view.getUint8(offset + 2) << 16);
    return { width: three(24) + 1, height: three(27) + 1 };
  }
  return null;
}
