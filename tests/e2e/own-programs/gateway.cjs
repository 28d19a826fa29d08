// An API gateway as one writes it with Express: checks the question, hands it to an LLM proxy with
// axios, relays the answer. Traced by dd-trace, whose agent need not be there.
//   PORT   where it listens
//   PROXY  the proxy's address, such as http://localhost:5002
const tracer = require("dd-trace");
tracer.init({ service: "own-gateway", env: "test" });

const axios = require("axios");
const express = require("express");

const { PORT, PROXY } = process.env;
const app = express();
app.use(express.json());

app.post("/chat", async (request, response) => {
  const { message } = request.body;
  if (!message) {
    response.status(400).json({ error: "No message provided" });
    return;
  }
  try {
    const answer = await axios.post(`${PROXY}/chat`, { message });
    response.json(answer.data);
  } catch (failure) {
    const detail = failure.response?.data ?? failure.message;
    response.status(500).json({ error: "the proxy failed", detail });
  }
});

app.listen(Number(PORT), () => console.log(`listening on ${PORT}`));
