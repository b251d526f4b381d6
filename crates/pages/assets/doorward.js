// What pages are better with. All of them work without.
"use strict";

// A button that copies what stands beside it.
for (const source of document.querySelectorAll("[data-copy]")) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "second";
  button.textContent = "Copy";
  button.setAttribute("aria-label", "Copy " + (source.dataset.copy || "this"));
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(source.textContent.trim());
      button.textContent = "Copied";
    } catch {
      getSelection().selectAllChildren(source);
      button.textContent = "Selected";
    }
    setTimeout(() => { button.textContent = "Copy"; }, 2000);
  });
  source.after(button);
}

// The records of refusals, as they come.
const tail = document.querySelector("[data-tail]");
if (tail) {
  const live = document.createElement("label");
  live.className = "choice";
  const box = document.createElement("input");
  box.type = "checkbox";
  live.append(box, "Show new records as they come");
  tail.before(live);
  let asking = false;
  setInterval(async () => {
    if (!box.checked || asking || document.hidden) return;
    asking = true;
    try {
      const answer = await fetch(tail.dataset.tail, { headers: { Accept: "text/html" } });
      if (answer.ok && !answer.redirected) {
        const page = new DOMParser().parseFromString(await answer.text(), "text/html");
        const fresh = page.querySelector("[data-tail]");
        if (fresh) tail.replaceChildren(...fresh.childNodes);
      }
    } finally {
      asking = false;
    }
  }, 2000);
}

// Passkeys: the browser asks for one, and what comes of it is sent as the form's.
const toBytes = (text) => Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (letter) => letter.charCodeAt(0));
const toText = (buffer) => btoa(String.fromCharCode(...new Uint8Array(buffer))).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
const named = (ids) => (ids || []).map((id) => ({ type: "public-key", id: toBytes(id) }));
const makePasskey = (wanted) => navigator.credentials.create({ publicKey: {
  challenge: toBytes(wanted.challenge),
  rp: wanted.rp,
  user: { ...wanted.user, id: toBytes(wanted.user.id) },
  pubKeyCredParams: wanted.algorithms.map((alg) => ({ type: "public-key", alg })),
  excludeCredentials: named(wanted.excludeCredentials),
  authenticatorSelection: { residentKey: "preferred", userVerification: "preferred" },
  attestation: "none",
} });
const usePasskey = (wanted) => navigator.credentials.get({ publicKey: {
  challenge: toBytes(wanted.challenge),
  rpId: wanted.rpId,
  userVerification: wanted.userVerification,
  allowCredentials: named(wanted.allowCredentials),
} });
for (const form of document.querySelectorAll("form[data-passkey]")) {
  const wanted = JSON.parse(form.dataset.passkey);
  // Passkeys are bound to the address that people use.
  if (!window.PublicKeyCredential || location.hostname !== (wanted.rpId || wanted.rp.id)) continue;
  form.hidden = false;
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const told = form.querySelector("[role=alert]");
    told.textContent = "";
    try {
      const wanted = JSON.parse(form.dataset.passkey);
      const { rawId, response } = await (wanted.user ? makePasskey(wanted) : usePasskey(wanted));
      const values = {
        id: rawId, client_data: response.clientDataJSON, attestation_object: response.attestationObject,
        authenticator_data: response.authenticatorData, signature: response.signature, user_handle: response.userHandle,
      };
      for (const [name, value] of Object.entries(values)) {
        if (form.elements[name] && value) form.elements[name].value = toText(value);
      }
      form.submit();
    } catch (error) {
      told.textContent = error.name === "InvalidStateError"
        ? "This device has a passkey for you already."
        : "No passkey was used. Try again, or another way.";
    }
  });
}
