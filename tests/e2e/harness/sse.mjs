// Server-sent events, read strictly: a line that is no field of the format fails the test.

/** Returns a function that takes pieces of text; `push` gets `{name, data}` of each event. */
export function createParser(push) {
  let rest = "";
  let name = "message";
  let data = [];
  const line = (text) => {
    if (text === "") {
      if (data.length > 0) push({ name, data: JSON.parse(data.join("\n")) });
      name = "message";
      data = [];
    } else if (text.startsWith("event: ")) {
      name = text.slice("event: ".length);
    } else if (text.startsWith("data: ")) {
      data.push(text.slice("data: ".length));
    } else if (!text.startsWith(":")) {
      throw new Error(`no line of a stream of events: ${JSON.stringify(text)}`);
    }
  };
  return (piece) => {
    const lines = (rest + piece).split("\n");
    rest = lines.pop();
    lines.forEach(line);
  };
}
