// The secret of an invitation stands behind the # of its link, which no browser sends: it is put into the form here.
const secret = window.location.hash.slice(1);
if (secret) {
  document.getElementById("id_link").value = secret;
  document.getElementById("id_code").focus();
  window.history.replaceState(null, "", window.location.pathname);
}
