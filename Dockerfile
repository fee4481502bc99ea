# The image has its own Node 26, so the optional Node packages of package.json stay out. Mount a
# configuration over /app/proxy.yaml whose listeners are not on loopback, and a volume on /app/data for the
# last good plan.
FROM node:26-bookworm-slim
WORKDIR /app
COPY package.json package-lock.json ./
RUN npm ci --omit=dev --omit=optional && mkdir data && chown node:node data
COPY src ./src
COPY proxy.yaml LICENSE ./
USER node
EXPOSE 8080 9090
CMD ["node", "src/main.js", "proxy", "--config", "proxy.yaml"]
