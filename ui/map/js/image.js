// The picture that is seen, with title, legend and attribution, as a PNG made in the browser.

const PAD = 16, FOOT = 26;

export function savePicture(map, names, legend, header) {
  map.once("render", () => {
    const source = map.getCanvas(), ratio = devicePixelRatio;
    const picture = document.createElement("canvas");
    const head = 64 * ratio, width = source.width, height = source.height + head + (FOOT + 26) * ratio;
    picture.width = width;
    picture.height = height;
    const pen = picture.getContext("2d");
    pen.fillStyle = "#ffffff";
    pen.fillRect(0, 0, width, height);
    pen.drawImage(source, 0, head);
    names.draw();
    pen.drawImage(names.canvas, 0, head, source.width, source.height);
    pen.scale(ratio, ratio);
    write(pen, header.texts.title, PAD, 27, "600 19px sans-serif", "#1b1f24");
    write(pen, `${header.texts.place} · ${legend.served.textContent}`, PAD, 49, "14px sans-serif", "#41474e");
    let x = PAD;
    const y = (source.height + head) / ratio + 20;
    legend.header.scale.colours.forEach((colour, i) => {
      pen.fillStyle = colour;
      pen.fillRect(x, y - 11, 16, 12);
      pen.strokeStyle = "#00000055";
      pen.strokeRect(x, y - 11, 16, 12);
      const text = legend.span(i, legend.breaks, legend.header.scale.kind !== "cutoff");
      write(pen, text, x + 21, y, "12px sans-serif", "#1b1f24");
      x += 34 + pen.measureText(text).width;
    });
    write(pen, header.texts.unit, x, y, "12px sans-serif", "#41474e");
    write(pen, header.texts.attributionText, PAD, y + 24, "11px sans-serif", "#41474e");
    picture.toBlob((blob) => {
      const link = document.createElement("a");
      link.href = URL.createObjectURL(blob);
      link.download = `${header.fileName}.png`;
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
    }, "image/png");
  });
  map.triggerRepaint();
}

function write(pen, text, x, y, font, colour) {
  pen.font = font;
  pen.fillStyle = colour;
  pen.fillText(text, x, y);
}
